"""The served model: loading, versions, batching, limits of work."""
