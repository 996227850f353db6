"""The networks, over which the conformance tests run."""

from conformance import Case, labels, of_x, ramp, register, stripes

from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.alexnet import AlexNetFeatures
from spade_tf.networks.class_encoder import ClassEncoder
from spade_tf.networks.discriminator import MultiscaleDiscriminator, NLayerDiscriminator
from spade_tf.networks.efficientnet_lite import EfficientNetLiteFeatures
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.inception import InceptionFeatures
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator
from spade_tf.networks.projected_segmentation import (
    ProjectedSegmentationDiscriminator,
)
from spade_tf.networks.segmentation_discriminator import SegmentationDiscriminator
from spade_tf.networks.spectral_resnet_block import SpectralResnetBlock
from spade_tf.networks.vgg import VGGFeatures


@register(SPADEGenerator)
def generator_from_semantics():
    config = {
        "num_labels": 3,
        "image_size": (32, 64),
        "use_instance_edges": True,
        "filters": 2,
        # "auto" has twice the operations; the residual block has it.
        "conditioning": Conditioning(hidden_filters=8, kernel_size=1, form="deduplicated"),
    }
    return Case(
        config,
        labels((32, 64)),
        call=lambda layer, inputs, training: layer(dict(inputs), training=training),
        output_shape_arguments=((2, 32, 64),),
        float32_output=True,
    )


@register(SPADEGenerator)
def generator_with_class_styles():
    config = {
        "num_labels": 3,
        "image_size": (32, 64),
        "filters": 2,
        # The residual block's case has the deduplicated form, which takes longer to trace.
        "conditioning": Conditioning(hidden_filters=8, class_style_dim=2, form="dense"),
    }
    return Case(
        config,
        {"label": stripes(2, 32, 64, 3), "class_styles": ramp(2, 3, 2)},
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
        "conditioning": Conditioning(hidden_filters=8, norm="layer", form="dense"),
        "num_upsampling_layers": "more",
        "z_dim": 5,
        "spectral_norm": False,
        "noise_inputs": True,
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
        "z_dim": 5,
        "conditioning": Conditioning("shared_spade", hidden_filters=8, concat="convs"),
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
        "spectral_norm": True,
        "conditioning": Conditioning("spade", hidden_filters=8, kernel_size=1, form="dense"),
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
        "spectral_norm": True,
        "conditioning": Conditioning("none", norm="none"),
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
        "conditioning": Conditioning("adain", norm="instance", concat="convs"),
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


def _call_with_label_and_image(layer, inputs, training):
    return layer({"label": inputs["label"]}, image=inputs["image"], training=training)


@register(SegmentationDiscriminator)
def segmentation_discriminator():
    config = {"num_labels": 3, "unknown_id": 2, "filters": 2, "num_downsamplings": 3}
    return Case(
        config,
        {"label": stripes(2, 16, 24, 3), "image": ramp(2, 16, 24, 3)},
        _call_with_label_and_image,
        output_shape_arguments=((2, 16, 24), (2, 16, 24, 3)),
    )


@register(ProjectedSegmentationDiscriminator)
def projected_segmentation_discriminator():
    config = {
        "num_labels": 3,
        "unknown_id": 2,
        "filters": 2,
        "backbone": "efficientnet_lite0",
        "full_resolution": True,
    }
    return Case(
        config,
        {"label": stripes(2, 32, 64, 3), "image": ramp(2, 32, 64, 3)},
        _call_with_label_and_image,
        output_shape_arguments=((2, 32, 64), (2, 32, 64, 3)),
    )


@register(SpectralResnetBlock)
def spectral_resnet_block():
    return of_x({"filters": 3, "resampling": "down", "activate": False})


@register(SpectralResnetBlock)
def spectral_resnet_block_up():
    return of_x({"filters": 6, "resampling": "up"})


@register(ConvEncoder)
def conv_encoder():
    config = {"z_dim": 5, "filters": 2, "image_size": (128, 64)}
    return Case(
        config,
        {"x": ramp(2, 48, 80, 3)},
        output_shape_arguments=((2, 48, 80, 3),),
        float32_output=True,
    )


@register(ClassEncoder)
def class_encoder():
    config = {
        "num_labels": 3,
        "class_style_dim": 2,
        "z_dim": 5,
        "filters": 2,
        "image_size": (16, 24),
        "num_layers": 2,
    }
    return Case(
        config,
        {"x": ramp(2, 16, 24, 3), "label": stripes(2, 16, 24, 3)},
        call=lambda layer, inputs, training: layer(
            inputs["x"], {"label": inputs["label"]}, training=training
        ),
        output_shape_arguments=((2, 16, 24, 3), (2, 16, 24)),
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
