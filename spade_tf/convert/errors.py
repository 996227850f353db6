"""What goes wrong between this project and the releases of others."""

from __future__ import annotations


class ConversionError(ValueError):
    """A checkpoint that cannot be converted, or a model that has no official form.

    The message is one line.
    """


class WeightsError(ValueError):
    """Trained weights that are not there, cannot be read, or do not fit the network.

    The message is one line.
    """
