"""Protocols: requests become arrays, and arrays answers."""
