"""Models that are served: loading, versions, batching, bounds."""
