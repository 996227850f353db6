"""Weights of other projects, read and written."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.convert.efficientnet_lite import load_efficientnet_lite as load_efficientnet_lite
    from spade_tf.convert.errors import ConversionError as ConversionError
    from spade_tf.convert.errors import WeightsError as WeightsError
    from spade_tf.convert.inception import load_inception as load_inception
    from spade_tf.convert.lpips import load_alexnet as load_alexnet
    from spade_tf.convert.lpips import load_lpips as load_lpips
    from spade_tf.convert.nvlabs.checkpoint import load_checkpoint as load_checkpoint
    from spade_tf.convert.nvlabs.checkpoint import load_networks as load_networks
    from spade_tf.convert.nvlabs.checkpoint import save_networks as save_networks
    from spade_tf.convert.vgg import load_vgg as load_vgg

__all__ = [
    "ConversionError",
    "WeightsError",
    "load_alexnet",
    "load_checkpoint",
    "load_efficientnet_lite",
    "load_inception",
    "load_lpips",
    "load_networks",
    "load_vgg",
    "save_networks",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ConversionError": "spade_tf.convert.errors",
        "WeightsError": "spade_tf.convert.errors",
        "load_alexnet": "spade_tf.convert.lpips",
        "load_checkpoint": "spade_tf.convert.nvlabs.checkpoint",
        "load_efficientnet_lite": "spade_tf.convert.efficientnet_lite",
        "load_inception": "spade_tf.convert.inception",
        "load_lpips": "spade_tf.convert.lpips",
        "load_networks": "spade_tf.convert.nvlabs.checkpoint",
        "load_vgg": "spade_tf.convert.vgg",
        "save_networks": "spade_tf.convert.nvlabs.checkpoint",
    },
)
