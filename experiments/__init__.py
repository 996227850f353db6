"""Experiments: one file each, the configuration that they fill in, and what is done with it."""
