"""Source files of a data set: which there are, what they hold, and how they pair."""
