"""TFRecord shards become batches."""
