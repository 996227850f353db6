"""The fast form of SPADE generators for inference."""
