"""The protocols: they turn requests into arrays, and arrays into answers."""
