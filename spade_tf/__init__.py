"""SPADE / GauGAN in Keras 3 and TensorFlow.

Semantic image synthesis with spatially-adaptive normalization (Park et al., CVPR 2019,
https://arxiv.org/abs/1903.07291). The library knows tensors: never a configuration object, a
flag or the name of a data set.

Names are imported when they are first asked for: `import spade_tf` alone takes no time.
"""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily
from spade_tf.version import __version__ as __version__

if TYPE_CHECKING:
    from spade_tf.export.saved_model import export_saved_model as export_saved_model
    from spade_tf.layers.conditioning import Conditioning as Conditioning
    from spade_tf.layers.semantics import Semantics as Semantics
    from spade_tf.layers.spade import SPADE as SPADE
    from spade_tf.layers.spade_resnet_block import SPADEResnetBlock as SPADEResnetBlock
    from spade_tf.layers.spectral_norm import SpectralConv2D as SpectralConv2D
    from spade_tf.layers.spectral_norm import SpectralDense as SpectralDense
    from spade_tf.loading import ExportedModel as ExportedModel
    from spade_tf.loading import ModelFileError as ModelFileError
    from spade_tf.loading import load_model as load_model
    from spade_tf.losses.perceptual import PerceptualLoss as PerceptualLoss
    from spade_tf.networks.discriminator import MultiscaleDiscriminator as MultiscaleDiscriminator
    from spade_tf.networks.discriminator import NLayerDiscriminator as NLayerDiscriminator
    from spade_tf.networks.encoder import ConvEncoder as ConvEncoder
    from spade_tf.networks.generator import SPADEGenerator as SPADEGenerator
    from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator as Pix2PixHDGenerator
    from spade_tf.training.gaugan import GauGAN as GauGAN
    from spade_tf.training.loop import train as train
    from spade_tf.training.options import LossWeights as LossWeights
    from spade_tf.training.options import Updates as Updates

__all__ = [
    "SPADE",
    "Conditioning",
    "ConvEncoder",
    "ExportedModel",
    "GauGAN",
    "LossWeights",
    "ModelFileError",
    "MultiscaleDiscriminator",
    "NLayerDiscriminator",
    "PerceptualLoss",
    "Pix2PixHDGenerator",
    "SPADEGenerator",
    "SPADEResnetBlock",
    "Semantics",
    "SpectralConv2D",
    "SpectralDense",
    "Updates",
    "export_saved_model",
    "load_model",
    "train",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Conditioning": "spade_tf.layers.conditioning",
        "ConvEncoder": "spade_tf.networks.encoder",
        "ExportedModel": "spade_tf.loading",
        "GauGAN": "spade_tf.training.gaugan",
        "LossWeights": "spade_tf.training.options",
        "ModelFileError": "spade_tf.loading",
        "MultiscaleDiscriminator": "spade_tf.networks.discriminator",
        "NLayerDiscriminator": "spade_tf.networks.discriminator",
        "PerceptualLoss": "spade_tf.losses.perceptual",
        "Pix2PixHDGenerator": "spade_tf.networks.pix2pixhd",
        "SPADE": "spade_tf.layers.spade",
        "SPADEGenerator": "spade_tf.networks.generator",
        "SPADEResnetBlock": "spade_tf.layers.spade_resnet_block",
        "Semantics": "spade_tf.layers.semantics",
        "SpectralConv2D": "spade_tf.layers.spectral_norm",
        "SpectralDense": "spade_tf.layers.spectral_norm",
        "Updates": "spade_tf.training.options",
        "export_saved_model": "spade_tf.export.saved_model",
        "load_model": "spade_tf.loading",
        "train": "spade_tf.training.loop",
    },
)
