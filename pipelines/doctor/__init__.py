"""A report on the source files of a data set."""
