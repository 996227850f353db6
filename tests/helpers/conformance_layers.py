"""The layers, over which the conformance tests run."""

from conformance import (
    X_SHAPE,
    Case,
    X,
    call_with_mapping,
    call_with_semantics,
    conditional,
    labels,
    mapping_of,
    of_x,
    ramp,
    register,
    semantics_of,
)

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.convolution import NarrowConv2D
from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.modulation import SpatialModulation
from spade_tf.layers.noise_input import NoiseInput
from spade_tf.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.shared_spade import SharedSPADE
from spade_tf.layers.spade import SPADE
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.layers.spectral_norm import SpectralConv2D, SpectralDense
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.layers.unconditional_norm import UnconditionalNorm
from spade_tf.layers.weight_norm import WeightNormConv2D


@register(BatchNorm)
def batch_norm():
    config = {"momentum": 0.7, "synchronized": False, "epsilon": 1e-3}
    return of_x(config)


@register(InstanceNorm)
def instance_norm():
    return of_x({"epsilon": 1e-3})


@register(LayerNorm)
def layer_norm():
    return of_x({"epsilon": 1e-3})


@register(GroupNorm)
def group_norm():
    config = {"groups": 3, "epsilon": 1e-3}
    return of_x(config)


@register(NoiseInput)
def noise_input():
    return of_x({"size": (2, 3), "seed": 1})


@register(NarrowConv2D)
def narrow_conv():
    return of_x({"filters": 2, "kernel_size": (3, 3), "padding": "same"})


@register(SpectralConv2D)
def spectral_conv():
    config = {"filters": 4, "kernel_size": 3, "strides": 2, "epsilon": 1e-10}
    return of_x(config)


@register(SpectralConv2D)
def spectral_conv_valid():
    config = {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "valid", "use_bias": False}
    return of_x(config)


@register(SpectralDense)
def spectral_dense():
    config = {"filters": 4, "epsilon": 1e-10}
    return Case(
        config, {"x": ramp(2, 6)}, build_shapes=((None, 6),), output_shape_arguments=((2, 6),)
    )


@register(GaussianSampling)
def gaussian_sampling():
    inputs = {"mu": ramp(2, 5), "logvar": ramp(2, 5)[::-1], "noise": 2.0 * ramp(2, 5)}
    return Case(
        {},
        inputs,
        call=lambda layer, inputs, training: layer(**inputs),
        output_shape_arguments=((2, 5), (2, 5)),
        float32_output=True,
    )


@register(SpatialModulation)
def spatial_modulation():
    config = {"filters": 5, "semantic_channels": 4, "hidden_filters": 8, "kernel_size": 5}

    def call(layer, inputs, training):
        return layer(semantics=semantics_of(layer, inputs))

    return Case(
        config,
        labels(),
        call,
        lambda layer, inputs, training: layer(mapping_of(inputs)),
        output_shape_arguments=((2, 16, 16),),
    )


@register(SPADE)
def spade():
    config = {"semantic_channels": 4, "hidden_filters": 8, "kernel_size": 1, "norm": "instance"}
    return conditional(config)


@register(SPADEResnetBlock)
def spade_resnet_block_with_class_styles():
    config = {
        "filters": 4,
        "semantic_channels": 4,
        "conditioning": Conditioning(hidden_filters=8, class_style_dim=5),
    }

    def call(layer, inputs, training):
        semantics = semantics_of(layer, inputs).with_class_styles(inputs["class_styles"])
        return layer(inputs["x"], semantics=semantics, training=training)

    def call_plainly(layer, inputs, training):
        semantics = mapping_of(inputs) | {"class_styles": inputs["class_styles"]}
        return layer(inputs["x"], semantics, training=training)

    return Case(
        config,
        X | labels((16, 24)) | {"class_styles": ramp(2, 3, 5)},
        call,
        call_plainly,
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


@register(SPADEResnetBlock)
def spade_resnet_block():
    config = {
        "filters": 4,
        "semantic_channels": 4,
        "conditioning": Conditioning(norm="layer", hidden_filters=8, kernel_size=5),
        "spectral_norm": False,
    }
    return conditional(config)


@register(SPADEResnetBlock)
def spade_resnet_block_without_shortcut():
    narrow = Conditioning(hidden_filters=8)
    config = {"filters": 6, "semantic_channels": 4, "conditioning": narrow}
    return Case(
        config,
        X | labels((8, 12)),
        call_with_semantics,
        call_with_mapping,
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


@register(SharedSPADE)
def shared_spade():
    return conditional({"semantic_channels": 4, "norm": "layer"})


@register(CLADE)
def clade():
    return conditional({"semantic_channels": 4, "norm": "instance"})


@register(ConditionalBatchNorm)
def conditional_batch_norm():
    return conditional({"semantic_channels": 4, "norm": "local_batch"})


@register(UnconditionalNorm)
def affine_norm():
    return conditional({"norm": "instance", "affine": True})


@register(UnconditionalNorm)
def unconditional_norm():
    return conditional({"norm": "layer", "affine": False})


@register(AdaIN)
def adain():
    return Case(
        {"embedding_dim": 5, "norm": "batch"},
        X | {"embedding": ramp(2, 5)},
        call=lambda layer, inputs, training: layer(
            inputs["x"], embedding=inputs["embedding"], training=training
        ),
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


@register(SharedPredictor)
def shared_predictor():
    config = {"semantic_channels": 4, "hidden_filters": 5, "kernel_size": 5}

    def call(layer, inputs, training):
        return layer(semantics=semantics_of(layer, inputs))

    return Case(
        config,
        labels(),
        call,
        lambda layer, inputs, training: layer(mapping_of(inputs)),
        output_shape_arguments=((2, 16, 16),),
    )


@register(WeightNormConv2D)
def weight_norm_conv():
    config = {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "valid", "epsilon": 1e-10}
    return Case(
        config,
        X,
        call=lambda layer, inputs, training: layer(inputs["x"]),
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


@register(SpectralConv2DTranspose)
def spectral_conv_transpose():
    config = {"filters": 4, "kernel_size": 3, "use_bias": False, "epsilon": 1e-10}
    return of_x(config)


def _call_with_semantics_and_embedding(layer, inputs, training):
    semantics = semantics_of(layer, inputs)
    embedding = inputs["embedding"]
    return layer(inputs["x"], semantics=semantics, embedding=embedding, training=training)


@register(SPADEResnetBlock)
def spade_resnet_block_adain():
    config = {
        "filters": 4,
        "semantic_channels": 4,
        "conditioning": Conditioning("adain", concat="convs"),
        "embedding_dim": 5,
    }
    return Case(
        config,
        X | labels((16, 24)) | {"embedding": ramp(2, 5)},
        _call_with_semantics_and_embedding,
        lambda layer, inputs, training: layer(
            inputs["x"], mapping_of(inputs), inputs["embedding"], training=training
        ),
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


# --- networks -------------------------------------------------------------------------------
