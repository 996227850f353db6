"""The register of all public layers and networks, over which the conformance tests run.

To add a class, write a function below that returns its `Case`, under `@register(TheClass)`:
`config` holds the constructor's arguments (small, and where possible not the defaults), `inputs`
the tensors of one call by name (ranges, not random), and `call` says how the class is called with
them. A class may have several cases. A class of spade_tf.layers or spade_tf.networks that has none
fails test_register.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.modulation import SpatialModulation
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
from spade_tf.networks.alexnet import AlexNetFeatures
from spade_tf.networks.discriminator import MultiscaleDiscriminator, NLayerDiscriminator
from spade_tf.networks.efficientnet_lite import EfficientNetLiteFeatures
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.inception import InceptionFeatures
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator
from spade_tf.networks.vgg import VGGFeatures


def _call_with_x(layer, inputs, training):
    return layer(inputs["x"], training=training)


class Case(NamedTuple):
    """How to make one layer or network, and how to call it.

    Attributes:
        config: constructor arguments.
        inputs: arrays of one call by name, batch first. Their batch, height and width are unknown
            in the test of unknown sizes.
        call: `(layer, tensors, training) -> outputs`.
        call_plainly: the same without a `Semantics`, as with symbolic tensors; None if `call` does.
        build_shapes: arguments of `build`; not used for a class that builds in its constructor.
        output_shape_arguments: of `compute_output_shape`.
        float32_output: whether outputs are float32 whatever the compute dtype.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, np.ndarray]
    call: Callable[..., Any] = _call_with_x
    call_plainly: Callable[..., Any] | None = None
    build_shapes: tuple[Any, ...] = ()
    output_shape_arguments: tuple[Any, ...] = ()
    float32_output: bool = False
    layer_class: type[keras.layers.Layer] = keras.layers.Layer

    def make(self, **overrides: Any) -> keras.layers.Layer:
        return self.layer_class(**{**self.config, **overrides})

    def make_built(self, **overrides: Any) -> keras.layers.Layer:
        layer = self.make(**overrides)
        if not layer.built:
            layer.build(*self.build_shapes)
        return layer

    def call_with_tensors(self, layer: keras.layers.Layer, inputs: Any) -> Any:
        return (self.call_plainly or self.call)(layer, inputs, training=False)

    def tensors(self) -> dict[str, tf.Tensor]:
        return {name: tf.constant(array) for name, array in self.inputs.items()}


CASES: dict[str, Case] = {}


def register(layer_class: type[keras.layers.Layer]) -> Callable[..., Any]:
    """Registers the case that the decorated function returns, under the function's name."""

    def add(function):
        CASES[function.__name__] = function()._replace(layer_class=layer_class)
        return function

    return add


def pytest_generate_tests(metafunc):
    networks = {n: case for n, case in CASES.items() if issubclass(case.layer_class, keras.Model)}
    for argument, cases in (("case", CASES), ("network_case", networks)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, list(cases.values()), ids=list(cases))


@pytest.fixture
def registered_classes():
    return {case.layer_class for case in CASES.values()}


def ramp(*shape: int) -> np.ndarray:
    """Values from -1 to 1 on a curve, so that no two rows are multiples of each other."""
    x = np.linspace(-1.0, 1.0, int(np.prod(shape)))
    return (0.5 * x + 0.5 * np.sin(37.0 * x)).astype("float32").reshape(shape)


def stripes(batch: int, height: int, width: int, count: int) -> np.ndarray:
    """Label ids that change every few pixels. Each example has every id."""
    ids = np.arange(batch * height * width).reshape(batch, height, width)
    return (ids // 5 % count).astype("int32")


def labels(size: tuple[int, int] = (16, 16)) -> dict[str, np.ndarray]:
    return {"label": stripes(2, *size, 3), "instance": stripes(2, *size, 7)}


def semantics_of(layer, inputs):
    return Semantics(
        3,
        label=inputs["label"],
        edges=instance_edges(inputs["instance"]),
        dtype=layer.compute_dtype,
    )


def mapping_of(inputs):
    return {"label": inputs["label"], "instance": inputs["instance"]}


def _call_with_mapping(layer, inputs, training):
    return layer(inputs["x"], mapping_of(inputs), training=training)


def _call_with_semantics(layer, inputs, training):
    semantics = semantics_of(layer, inputs)
    return layer(inputs["x"], semantics=semantics, training=training)


X = {"x": ramp(2, 8, 12, 6)}
X_SHAPE = (None, None, None, 6)


def _of_x(config):
    return Case(config, X, build_shapes=(X_SHAPE,), output_shape_arguments=(X["x"].shape,))


def _conditional(config):
    return Case(
        config,
        X | labels((16, 24)),
        _call_with_semantics,
        _call_with_mapping,
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


# --- layers ---------------------------------------------------------------------------------


@register(BatchNorm)
def batch_norm():
    config = {"momentum": 0.7, "synchronized": False, "epsilon": 1e-3}
    return _of_x(config)


@register(InstanceNorm)
def instance_norm():
    return _of_x({"epsilon": 1e-3})


@register(LayerNorm)
def layer_norm():
    return _of_x({"epsilon": 1e-3})


@register(GroupNorm)
def group_norm():
    config = {"groups": 3, "epsilon": 1e-3}
    return _of_x(config)


@register(SpectralConv2D)
def spectral_conv():
    config = {"filters": 4, "kernel_size": 3, "strides": 2, "epsilon": 1e-10}
    return _of_x(config)


@register(SpectralConv2D)
def spectral_conv_valid():
    config = {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "valid", "use_bias": False}
    return _of_x(config)


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
    return _conditional(config)


@register(SPADEResnetBlock)
def spade_resnet_block():
    config = {
        "filters": 4,
        "semantic_channels": 4,
        "hidden_filters": 8,
        "kernel_size": 5,
        "norm": "layer",
        "spectral_norm": False,
    }
    return _conditional(config)


@register(SPADEResnetBlock)
def spade_resnet_block_without_shortcut():
    config = {"filters": 6, "semantic_channels": 4, "hidden_filters": 8}
    return Case(
        config,
        X | labels((8, 12)),
        _call_with_semantics,
        _call_with_mapping,
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


@register(SharedSPADE)
def shared_spade():
    return _conditional({"semantic_channels": 4, "norm": "layer"})


@register(CLADE)
def clade():
    return _conditional({"semantic_channels": 4, "norm": "instance"})


@register(ConditionalBatchNorm)
def conditional_batch_norm():
    return _conditional({"semantic_channels": 4, "norm": "local_batch"})


@register(UnconditionalNorm)
def affine_norm():
    return _conditional({"norm": "instance", "affine": True})


@register(UnconditionalNorm)
def unconditional_norm():
    return _conditional({"norm": "layer", "affine": False})


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
    return _of_x(config)


def _call_with_semantics_and_embedding(layer, inputs, training):
    semantics = semantics_of(layer, inputs)
    embedding = inputs["embedding"]
    return layer(inputs["x"], semantics=semantics, embedding=embedding, training=training)


@register(SPADEResnetBlock)
def spade_resnet_block_adain():
    config = {
        "filters": 4,
        "semantic_channels": 4,
        "conditioning": "adain",
        "embedding_dim": 5,
        "concat": "convs",
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


@register(SPADEGenerator)
def generator_from_semantics():
    config = {
        "num_labels": 3,
        "image_size": (32, 64),
        "use_instance_edges": True,
        "filters": 2,
        "hidden_filters": 8,
        "kernel_size": 1,
    }
    return Case(
        config,
        labels((32, 64)),
        call=lambda layer, inputs, training: layer(dict(inputs), training=training),
        output_shape_arguments=((2, 32, 64),),
        float32_output=True,
    )


@register(SPADEGenerator)
def generator_from_z():
    config = {
        "num_labels": 3,
        "image_size": (64, 64),
        "filters": 2,
        "hidden_filters": 8,
        "norm": "layer",
        "num_upsampling_layers": "more",
        "z_dim": 5,
        "spectral_norm": False,
    }
    return Case(
        config,
        {"label": stripes(2, 64, 64, 3), "z": ramp(2, 5)},
        call=lambda layer, inputs, training: layer(
            {"label": inputs["label"]}, z=inputs["z"], training=training
        ),
        output_shape_arguments=((2, 64, 64),),
        float32_output=True,
    )


def _call_with_labels_and_z(layer, inputs, training):
    return layer({"label": inputs["label"]}, z=inputs["z"], training=training)


@register(SPADEGenerator)
def generator_shared_spade():
    config = {
        "num_labels": 3,
        "image_size": (32, 32),
        "filters": 2,
        "hidden_filters": 8,
        "z_dim": 5,
        "conditioning": "shared_spade",
        "concat": "convs",
    }
    return Case(
        config,
        {"label": stripes(2, 32, 32, 3), "z": ramp(2, 5)},
        call=_call_with_labels_and_z,
        output_shape_arguments=((2, 32, 32),),
        float32_output=True,
    )


@register(Pix2PixHDGenerator)
def pix2pixhd():
    config = {
        "num_labels": 3,
        "image_size": (16, 24),
        "use_instance_edges": True,
        "filters": 2,
        "num_downsamplings": 2,
        "num_blocks": 1,
        "hidden_filters": 8,
        "kernel_size": 1,
        "norm": "batch",
        "spectral_norm": True,
        "conditioning": "spade",
    }
    return Case(
        config,
        labels((16, 24)),
        call=lambda layer, inputs, training: layer(dict(inputs), training=training),
        output_shape_arguments=((2, 16, 24),),
        float32_output=True,
    )


@register(Pix2PixHDGenerator)
def pix2pixhd_without_norm():
    config = {
        "num_labels": 3,
        "image_size": (16, 24),
        "filters": 2,
        "num_downsamplings": 2,
        "num_blocks": 1,
        "initial_kernel_size": 5,
        "block_kernel_size": 5,
        "down_padding": "zeros",
        "norm": "none",
        "spectral_norm": True,
    }
    return Case(
        config,
        {"label": stripes(2, 16, 24, 3)},
        call=lambda layer, inputs, training: layer(dict(inputs), training=training),
        output_shape_arguments=((2, 16, 24),),
        float32_output=True,
    )


@register(Pix2PixHDGenerator)
def pix2pixhd_adain():
    config = {
        "num_labels": 3,
        "image_size": (16, 24),
        "filters": 2,
        "num_downsamplings": 2,
        "num_blocks": 1,
        "conditioning": "adain",
        "concat": "convs",
        "z_dim": 5,
    }
    return Case(
        config,
        {"label": stripes(2, 16, 24, 3), "z": ramp(2, 5)},
        call=_call_with_labels_and_z,
        output_shape_arguments=((2, 16, 24),),
        float32_output=True,
    )


@register(NLayerDiscriminator)
def n_layer_discriminator():
    config = {"in_channels": 6, "filters": 2, "num_layers": 3}
    return Case(config, {"x": ramp(2, 32, 48, 6)}, output_shape_arguments=((2, 32, 48, 6),))


@register(NLayerDiscriminator)
def n_layer_discriminator_of_batch_norm():
    config = {
        "in_channels": 6,
        "filters": 2,
        "num_layers": 3,
        "norm": "batch",
        "spectral_norm": False,
    }
    return Case(config, {"x": ramp(2, 32, 48, 6)}, output_shape_arguments=((2, 32, 48, 6),))


@register(MultiscaleDiscriminator)
def multiscale_discriminator():
    config = {
        "num_labels": 3,
        "use_instance_edges": True,
        "num_scales": 3,
        "filters": 2,
        "num_layers": 2,
    }

    def call(layer, inputs, training):
        labels = {name: inputs[name] for name in ("label", "instance")}
        return layer(labels, image=inputs["image"], training=training)

    return Case(
        config,
        labels((33, 48)) | {"image": ramp(2, 33, 48, 3)},
        call,
        output_shape_arguments=((2, 33, 48), (2, 33, 48, 3)),
    )


@register(ProjectedDiscriminator)
def projected_discriminator():
    def call(layer, inputs, training):
        labels = {name: inputs[name] for name in ("label", "instance")}
        return layer(labels, image=inputs["image"], training=training)

    config = {"num_labels": 3, "use_instance_edges": True, "filters": 2}
    return Case(
        config,
        labels((33, 48)) | {"image": ramp(2, 33, 48, 3)},
        call,
        output_shape_arguments=((2, 33, 48), (2, 33, 48, 3)),
    )


@register(ConvEncoder)
def conv_encoder():
    config = {"z_dim": 5, "filters": 2, "image_size": (128, 64)}
    return Case(
        config,
        {"x": ramp(2, 48, 80, 3)},
        output_shape_arguments=((2, 48, 80, 3),),
        float32_output=True,
    )


@register(VGGFeatures)
def vgg_features():
    config = {"architecture": "vgg16", "layers": ("relu1_1", "relu2_1"), "preprocessing": "none"}
    return Case(
        config,
        {"x": ramp(2, 16, 24, 3)},
        call=lambda layer, inputs, training: layer(inputs["x"]),
        build_shapes=((None, None, None, 3),),
        output_shape_arguments=((2, 16, 24, 3),),
    )


@register(AlexNetFeatures)
def alexnet_features():
    return Case(
        {},
        {"x": ramp(2, 32, 40, 3)},
        call=lambda layer, inputs, training: layer(inputs["x"]),
        build_shapes=((None, None, None, 3),),
        output_shape_arguments=((2, 32, 40, 3),),
    )


@register(InceptionFeatures)
def inception_features():
    return Case(
        {},
        {"x": ramp(2, 75, 80, 3)},
        call=lambda layer, inputs, training: layer(inputs["x"]),
        build_shapes=((None, None, None, 3),),
        output_shape_arguments=((2, 75, 80, 3),),
    )


@register(EfficientNetLiteFeatures)
def efficientnet_lite_features():
    return Case(
        {"architecture": "lite0", "layers": ("stage1", "stage2")},
        {"x": ramp(2, 16, 24, 3)},
        call=lambda layer, inputs, training: layer(inputs["x"]),
        build_shapes=((None, None, None, 3),),
        output_shape_arguments=((2, 16, 24, 3),),
    )
