"""Serving of exported models, and their clients."""
