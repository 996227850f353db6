"""Shared by the commands: configurations, workdirs, and making data sets and models from them."""
