"""Checkpoints of the official SPADE release, and of pix2pixHD, read and written."""
