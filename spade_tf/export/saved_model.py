"""SavedModels, as TF Serving wants them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics


class ExportError(ValueError):
    """An export that cannot be made; the message is one line."""


def export_saved_model(
    generator: keras.Model,
    output_dir: str | os.PathLike[str],
    *,
    encoder: keras.Model | None = None,
    description: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `output_dir/N/`, N being one more than the largest version there, whole or not at all.

    Signatures, for any batch, and any size that the generator can make:
    - `serving_default`: `label` int32 `[B, H, W]`, `instance` int32 `[B, H, W]` where edges are
      used, `z` float32 `[B, z_dim]` where there is a style, to `image` uint8 `[B, H, W, 3]`;
    - `generate`: the same, to `image` float32 in [-1, 1];
    - `encode_style`, where there is an encoder: `image` float32 `[B, H, W, 3]` in [-1, 1], to `z`,
      the mean of its style.

    Args:
        generator: of pictures.
        output_dir: of the versions of this model.
        encoder: of styles; None for none.
        description: what `assets/config.json` is to say of the model.

    Returns:
        The directory of the version.

    Raises:
        ExportError: if it cannot be written.
    """
    output_dir = Path(output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        versions = [int(path.name) for path in output_dir.iterdir() if path.name.isdecimal()]
        target = output_dir / str(max(versions, default=0) + 1)
        with tempfile.TemporaryDirectory(dir=output_dir, prefix=".export-") as scratch:
            asset = Path(scratch) / "config.json"
            asset.write_text(json.dumps(dict(description or {}), indent=1) + "\n")
            module = _Serving(generator, encoder, str(asset))
            staged = Path(scratch) / "model"
            tf.saved_model.save(module, str(staged), signatures=module.signatures())
            os.replace(staged, target)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"--output_dir={output_dir}: cannot be written ({reason}); choose another one"
        ) from error
    finally:
        for leftover in output_dir.glob(".export-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    return target


class _Serving(tf.Module):
    """The networks as signatures."""

    def __init__(self, generator, encoder, asset):
        super().__init__()
        self.generator = generator
        self.encoder = encoder
        self.asset = tf.saved_model.Asset(asset)
        # Keras keeps layers in lists that SavedModel does not look into.
        networks = [generator] + ([encoder] if encoder is not None else [])
        self.weights = [variable.value for network in networks for variable in network.variables]

    def signatures(self):
        """Concrete functions by signature name."""
        generate = self._inputs()
        signatures = {
            "serving_default": tf.function(self._generate_uint8).get_concrete_function(**generate),
            "generate": tf.function(self._generate).get_concrete_function(**generate),
        }
        if self.encoder is not None:
            image = tf.TensorSpec([None, None, None, 3], tf.float32, name="image")
            signatures["encode_style"] = tf.function(self._encode_style).get_concrete_function(
                image=image
            )
        return signatures

    def _inputs(self):
        size = (None, None)
        if self.generator.z_dim is not None:
            size = self.generator.image_size
        inputs = {"label": tf.TensorSpec([None, *size], tf.int32, name="label")}
        if self.generator.use_instance_edges:
            inputs["instance"] = tf.TensorSpec([None, *size], tf.int32, name="instance")
        if self.generator.z_dim is not None:
            inputs["z"] = tf.TensorSpec([None, self.generator.z_dim], tf.float32, name="z")
        return inputs

    def _generate(self, label, instance=None, z=None):
        semantics = Semantics.from_inputs(
            {"label": label, "instance": instance},
            num_labels=self.generator.num_labels,
            use_instance_edges=self.generator.use_instance_edges,
            dtype=self.generator.compute_dtype,
        )
        return {"image": self.generator(inputs=semantics, z=z, training=False)}

    def _generate_uint8(self, label, instance=None, z=None):
        image = self._generate(label, instance, z)["image"]
        image = tf.clip_by_value(tf.round((image + 1.0) * 127.5), 0.0, 255.0)
        return {"image": tf.cast(image, tf.uint8)}

    def _encode_style(self, image):
        return {"z": self.encoder(image, training=False)[0]}
