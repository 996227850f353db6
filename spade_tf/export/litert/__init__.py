"""LiteRT files for edge devices."""
