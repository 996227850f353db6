"""The evaluate command: how good a model's pictures are, and the protocol beside the numbers."""
