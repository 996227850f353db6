"""The data: files in, records and batches out. Knows nothing of networks."""
