"""The networks of SPADE, and those that it is compared with."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.networks.alexnet import AlexNetFeatures as AlexNetFeatures
    from spade_tf.networks.class_encoder import ClassEncoder as ClassEncoder
    from spade_tf.networks.discriminator import MultiscaleDiscriminator as MultiscaleDiscriminator
    from spade_tf.networks.discriminator import NLayerDiscriminator as NLayerDiscriminator
    from spade_tf.networks.editing import EditableGenerator as EditableGenerator
    from spade_tf.networks.efficientnet_lite import (
        EfficientNetLiteFeatures as EfficientNetLiteFeatures,
    )
    from spade_tf.networks.encoder import ConvEncoder as ConvEncoder
    from spade_tf.networks.fused.generator import FusedGenerator as FusedGenerator
    from spade_tf.networks.generator import SPADEGenerator as SPADEGenerator
    from spade_tf.networks.inception import InceptionFeatures as InceptionFeatures
    from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator as Pix2PixHDGenerator
    from spade_tf.networks.projected_discriminator import (
        ProjectedDiscriminator as ProjectedDiscriminator,
    )
    from spade_tf.networks.projected_segmentation import (
        ProjectedSegmentationDiscriminator as ProjectedSegmentationDiscriminator,
    )
    from spade_tf.networks.segmentation_discriminator import (
        SegmentationDiscriminator as SegmentationDiscriminator,
    )
    from spade_tf.networks.spectral_resnet_block import SpectralResnetBlock as SpectralResnetBlock
    from spade_tf.networks.styles import seeded_styles as seeded_styles
    from spade_tf.networks.styles import split_style as split_style
    from spade_tf.networks.vgg import VGGFeatures as VGGFeatures

__all__ = [
    "AlexNetFeatures",
    "ClassEncoder",
    "ConvEncoder",
    "EditableGenerator",
    "EfficientNetLiteFeatures",
    "FusedGenerator",
    "InceptionFeatures",
    "MultiscaleDiscriminator",
    "NLayerDiscriminator",
    "Pix2PixHDGenerator",
    "ProjectedDiscriminator",
    "ProjectedSegmentationDiscriminator",
    "SPADEGenerator",
    "SegmentationDiscriminator",
    "SpectralResnetBlock",
    "VGGFeatures",
    "seeded_styles",
    "split_style",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AlexNetFeatures": "spade_tf.networks.alexnet",
        "ClassEncoder": "spade_tf.networks.class_encoder",
        "ConvEncoder": "spade_tf.networks.encoder",
        "EditableGenerator": "spade_tf.networks.editing",
        "EfficientNetLiteFeatures": "spade_tf.networks.efficientnet_lite",
        "FusedGenerator": "spade_tf.networks.fused.generator",
        "InceptionFeatures": "spade_tf.networks.inception",
        "MultiscaleDiscriminator": "spade_tf.networks.discriminator",
        "NLayerDiscriminator": "spade_tf.networks.discriminator",
        "Pix2PixHDGenerator": "spade_tf.networks.pix2pixhd",
        "ProjectedDiscriminator": "spade_tf.networks.projected_discriminator",
        "ProjectedSegmentationDiscriminator": "spade_tf.networks.projected_segmentation",
        "SPADEGenerator": "spade_tf.networks.generator",
        "SegmentationDiscriminator": "spade_tf.networks.segmentation_discriminator",
        "SpectralResnetBlock": "spade_tf.networks.spectral_resnet_block",
        "VGGFeatures": "spade_tf.networks.vgg",
        "seeded_styles": "spade_tf.networks.styles",
        "split_style": "spade_tf.networks.styles",
    },
)
