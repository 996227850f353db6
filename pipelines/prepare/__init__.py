"""Source files become TFRecord shards."""
