"""Measures of how good pictures are."""
