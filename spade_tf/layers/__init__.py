"""The layers of SPADE, each usable on its own in any Keras network."""

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.conditioning import Conditioning, get_conditional_norm
from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.noise_input import NoiseInput
from spade_tf.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from spade_tf.layers.semantics import Semantics, instance_edges
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.shared_spade import SharedSPADE
from spade_tf.layers.spade import SPADE
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.layers.spectral_norm import SpectralConv2D, SpectralDense
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.layers.unconditional_norm import UnconditionalNorm
from spade_tf.layers.weight_norm import WeightNormConv2D

__all__ = [
    "CLADE",
    "SPADE",
    "AdaIN",
    "BatchNorm",
    "ConditionalBatchNorm",
    "Conditioning",
    "GaussianSampling",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "NoiseInput",
    "SPADEResnetBlock",
    "Semantics",
    "SharedPredictor",
    "SharedSPADE",
    "SpectralConv2D",
    "SpectralConv2DTranspose",
    "SpectralDense",
    "UnconditionalNorm",
    "WeightNormConv2D",
    "get_conditional_norm",
    "instance_edges",
]
