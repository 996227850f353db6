"""The sweep command: trains and scores every variant of an experiment, and tabulates them."""
