"""A model of several networks in one `.keras` file."""

from __future__ import annotations

from typing import Any

import keras

from spade_tf.training.optimizers import OPTIMIZERS
from spade_tf.training.options import LossWeights, Updates

# What of the constructor's arguments of `GauGAN` is an object with a configuration of its own.
_OBJECTS = (
    "generator",
    "discriminator",
    "encoder",
    "average_generator",
    "adversarial_loss",
    "perceptual_loss",
    "augment",
    "guard",
)


class SavedWhole(keras.Model):
    """Base of `GauGAN`: `save` writes all that it was made and compiled with.

    Attributes:
        loss_weights: see `GauGAN`, as for all others.
        compile_arguments: the arguments of `compile`, without the optimizers.
    """

    loss_weights: LossWeights
    updates: Updates
    seed: int
    compile_arguments: dict[str, Any]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as values that JSON can hold."""
        return {
            **super().get_config(),
            **{name: _serialized(name, getattr(self, name)) for name in _OBJECTS},
            "loss_weights": self.loss_weights._asdict(),
            "updates": self.updates._asdict(),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes a model, with new weights, from what `get_config` gives."""
        made = _deserialized(config, _OBJECTS, custom_objects)
        made["loss_weights"] = LossWeights(**config["loss_weights"])
        made["updates"] = Updates(**config["updates"])
        return cls(**made)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, as values that JSON can hold; None before it."""
        if not self.compiled:
            return None
        optimizers = {name: _serialized(name, getattr(self, name)) for name in OPTIMIZERS}
        return {**optimizers, **self.compile_arguments}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` says; `load_model` loads the optimizers' states."""
        self.compile(**_deserialized(config, OPTIMIZERS))


def _serialized(name: str, value: Any) -> Any:
    """An object as values that JSON can hold; None stays None. `name` is for the message."""
    if value is None:
        return None
    kind = value if hasattr(value, "__name__") else type(value)
    registered = ">" in keras.saving.get_registered_name(kind)
    if not registered and not hasattr(value, "get_config"):
        raise ValueError(
            f"this model cannot be saved with {name}={value!r}: decorate its class (or function) "
            "with keras.saving.register_keras_serializable, and give a class get_config and "
            "from_config"
        )
    return keras.saving.serialize_keras_object(value)


def _deserialized(
    config: dict[str, Any], names: tuple[str, ...], custom_objects: Any = None
) -> dict[str, Any]:
    """A copy of a configuration with the objects of these names made again."""
    objects = {
        name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        for name in names
        if isinstance(config.get(name), dict)
    }
    return {**config, **objects}
