"""Training: the model, the loop over any `tf.distribute` strategy, checkpoints, callbacks."""
