"""LiteRT models as models that make pictures: what a phone would make of a label map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.models import ExportedModel, check_finite

# Of the files of an export: the encoder beside a generator.
_ENCODERS = ("encoder_float32.tflite", "encoder_float16.tflite")
_STYLES = ("z", "class_styles")


class EdgeModel(ExportedModel):
    """A `.tflite` generator of an export, run on the processor, picture by picture.

    Args:
        path: the file; its `.json` file, and an encoder if the model has one, lie beside it.
        flag: the flag that gave it. Errors name it.

    Raises:
        ConfigError: if it is not a generator that `export --format=litert` wrote, or LiteRT is not
            installed.

    Example:
        >>> from experiments.setup.predictors import load_model
        >>> model = load_model("saved_models/mine/litert/1/generator_int8.tflite")  # doctest: +SKIP
    """

    def __init__(self, path: Path, flag: str = "--model"):
        self._path, self._given = path, f"{flag}={path}"
        facts = _facts(path, self._given)
        inputs = {given["name"] for given in facts["inputs"]}
        if inputs.isdisjoint(("semantics", "label")):
            raise ConfigError(
                f"{self._given}: no generator, as it takes {', '.join(sorted(inputs))}; give the "
                "file of a generator, such as generator_float16.tflite"
            )
        self._trained = facts["model"]
        try:
            super().__init__(facts["export"], path.parent, self._call)
        except (LookupError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path.with_suffix('.json')}: does not describe an export ({error}); export the "
                "model again"
            ) from error
        # LiteRT has no encoder of styles of classes.
        self.has_encoder = self.has_encoder and not self.class_style_dim

    @cached_property
    def _generator(self):
        return self._load(self._path)

    @cached_property
    def _encoder(self):
        found = [self._path.parent / name for name in _ENCODERS]
        found = [path for path in found if path.exists()]
        if not found:
            raise ConfigError(
                f"{self._given}: its encoder, {' or '.join(_ENCODERS)}, is not beside it; copy one "
                "there, or leave photographs out"
            )
        if _facts(found[0], str(found[0]))["model"] != self._trained:
            raise ConfigError(
                f"{found[0]}: the encoder of another model than {self._path.name} beside it; "
                "put the files of one export into a folder"
            )
        return self._load(found[0])

    def _load(self, path):
        from spade_tf.export.errors import ExportError
        from spade_tf.export.litert.model import LiteRTModel

        try:
            return LiteRTModel(path.read_bytes())
        except ExportError as error:
            raise ConfigError(
                f"{self._given}: needs ai-edge-litert; pip install 'spade-tf[litert]'"
            ) from error
        except ValueError as error:
            # What LiteRT says of a file that it cannot read.
            raise ConfigError(f"{path}: no LiteRT model ({error}); export it again") from error

    def _call(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a SavedModel's signature of that name would give."""
        if name == "encode_style":
            return {"z": np.concatenate([self._style_of(file) for file in inputs["image_bytes"]])}
        styles = {key: inputs[key] for key in _STYLES if key in inputs}
        if name != "generate_styles":
            styles = {key: value[:, None] for key, value in styles.items()}
        maps = {key: value for key, value in inputs.items() if key not in styles}
        made = np.stack(
            [
                self._pictures(
                    {key: value[index : index + 1] for key, value in maps.items()},
                    {key: value[index] for key, value in styles.items()},
                )
                for index in range(len(next(iter(maps.values()))))
            ]
        )
        return {"image": made if name == "generate_styles" else made[:, 0]}

    def _pictures(self, maps, styles):
        """Pictures of one label map in all its styles, uint8 `[K, H, W, 3]`."""
        from spade_tf.training.pictures import to_uint8

        layout = self._layout(maps)
        count = len(next(iter(styles.values()))) if styles else 1
        pictures = np.concatenate(
            [
                self._generator(**layout, **{key: each[k : k + 1] for key, each in styles.items()})[
                    "image"
                ]
                for k in range(count)
            ]
        )
        check_finite(pictures, self._given)
        return to_uint8(pictures)

    def _layout(self, maps):
        """A label map as the model takes it: ids, or a channel for each class."""
        from spade_tf.layers.semantics import Semantics

        wanted = self._generator.runner.get_input_details()
        ids = "label" in wanted
        height, width = wanted["label" if ids else "semantics"]["shape"][1:3]
        size = next(iter(maps.values())).shape[1:3]
        if size != (height, width):
            raise ConfigError(
                f"{self._given}: makes pictures of {height}x{width} alone; received a label map of "
                f"{size[0]}x{size[1]}"
            )
        if ids:
            return maps
        semantics = Semantics.from_inputs(
            maps, num_labels=self.labels.num_ids, use_instance_edges=self.use_instance
        )
        return {"semantics": semantics.dense.numpy()}

    def _style_of(self, file: bytes) -> np.ndarray:
        """The style of a photograph, float32 `[1, z_dim]`."""
        import tensorflow as tf

        _, height, width, _ = self._encoder.runner.get_input_details()["image"]["shape"]
        image = tf.cast(tf.io.decode_png(file, channels=3), tf.float32) / 127.5 - 1.0
        image = tf.image.resize(image[tf.newaxis], (height, width), "bilinear").numpy()
        return next(iter(self._encoder(image=image).values()))


def _facts(path: Path, given: str) -> dict[str, Any]:
    """The description that an export wrote beside a LiteRT file."""
    file = path.with_suffix(".json")
    try:
        facts = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ConfigError(
            f"{given}: {file.name} is not beside it; copy it there from the export"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); export the model again") from error
    if not isinstance(facts, dict) or {"inputs", "model", "export", "size_bytes"} - facts.keys():
        raise ConfigError(
            f"{file}: does not say how its model was trained, as those of earlier releases; "
            "export the model again"
        )
    if facts["size_bytes"] != path.stat().st_size:
        raise ConfigError(
            f"{given}: has {path.stat().st_size} bytes, and {file.name} speaks of a file of "
            f"{facts['size_bytes']}; copy both from one export"
        )
    return facts
