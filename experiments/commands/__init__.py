"""What the commands do, one module or folder per command."""
