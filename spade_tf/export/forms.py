"""The forms that generators are exported in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from spade_tf.export.checks import finite
from spade_tf.export.errors import ExportError
from spade_tf.networks.editing import EditableGenerator
from spade_tf.networks.fused.generator import NotFusibleError, check_fusible
from spade_tf.networks.generator import SPADEGenerator


def inference_form(generator: Any) -> Any:
    """The fused form of a generator where it has one, else the generator itself."""
    if not isinstance(generator, SPADEGenerator):
        return generator
    try:
        return generator.fuse()
    except NotFusibleError:
        return generator


def check_drafts(generator: Any, condition_channels: int = 0) -> None:
    """Raises an ExportError if a generator makes no drafts.

    Args:
        generator: a generator that is to be exported.
        condition_channels: channels of its continuous maps; 0 if it takes label maps.
    """
    if condition_channels:
        raise ExportError("--drafts: drafts are of painted classes, not of continuous maps")
    made, cause = "another architecture", None
    if isinstance(generator, SPADEGenerator):
        try:
            check_fusible(generator)
            return
        except NotFusibleError as error:
            settings, cause = generator.conditioning, error
            made = f"conditioning={settings.kind}, norm={settings.norm}, concat="
            made += settings.concat or "none"
    raise ExportError(
        "--drafts: only generators with conditioning=spade, norm=batch and concat=none make "
        f"drafts, and this one has {made}; leave it out, and the painter computes each picture "
        "whole"
    ) from cause


def draft_stage(
    generator: EditableGenerator, inputs: Mapping[str, tf.TensorSpec]
) -> tuple[Callable[..., dict[str, tf.Tensor]], dict[str, tf.TensorSpec]]:
    """A signature that computes anew only what a stroke changes, and its inputs.

    Beside the map and its style, it takes and gives the picture and the features of each block, so
    that a server keeps them for each painter. `changed` is the rectangle to compute; see
    `EditableGenerator.edit_within`. All shapes are those of one picture of the trained size.

    Args:
        generator: the generator.
        inputs: specs of a label map and a style, with any batch and size.
    """
    height, width = generator.image_size
    specs: dict[str, tf.TensorSpec] = {}
    for key, spec in inputs.items():
        # A map is as large as the picture; a style has no size that is left open but the batch.
        sizes = [height, width] if key in ("label", "instance") else spec.shape[1:]
        specs[key] = tf.TensorSpec([1, *sizes], spec.dtype, name=key)
    specs["changed"] = tf.TensorSpec([2, 2], tf.int32, name="changed")
    specs["image"] = tf.TensorSpec([1, height, width, 3], tf.float32, name="image")
    scale, names = generator.scale, []
    for index, (channels, upsamples) in enumerate(
        zip(generator.widths, generator.upsamples, strict=True)
    ):
        scale //= 2 if upsamples else 1
        names.append(f"feature_{index:02}")
        shape = [1, height // scale, width // scale, channels]
        specs[names[-1]] = tf.TensorSpec(shape, generator.compute_dtype, name=names[-1])

    def draft(changed, image, z=None, **given):
        features = [given.pop(name) for name in names]
        image, made = generator.edit_within(given, z, features, image, changed)
        image = finite("image", image, "give another style, or another export")
        return {"image": image, **dict(zip(names, made, strict=True))}

    return draft, specs
