"""Generators in their fast form for inference."""
