"""The networks of SPADE, and those that it is compared with."""
