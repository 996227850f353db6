"""The convert command: checkpoints of the official releases, read and written."""
