"""Losses of an epoch as the means over its steps."""

from __future__ import annotations

import keras


class EpochMeans(keras.callbacks.Callback):
    """Replaces the losses of an epoch's last step by the means over all its steps.

    `GauGAN.fit` puts it before all other callbacks, so that they see the means.
    """

    def on_epoch_begin(self, epoch, logs=None):
        """Starts at zero."""
        self.sums: dict[str, float] = {}
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        """Adds the losses of a step."""
        self.count += 1
        for name, value in (logs or {}).items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def on_epoch_end(self, epoch, logs=None):
        """Puts the means in the logs."""
        if logs is not None and self.count:
            logs.update({name: total / self.count for name, total in self.sums.items()})
