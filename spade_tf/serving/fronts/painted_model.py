"""What the painter must know of a model: its classes, its size, and what its label files hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from spade_tf.serving.errors import UnsupportedError
from spade_tf.serving.model.predictor import STYLES, Predictor
from spade_tf.serving.requests import Signature

# The painter keeps a label map as one byte per pixel.
_MOST_IDS = 256

_UNKNOWN_COLOR = [0, 0, 0]


class PaintedModel(NamedTuple):
    """A model that pictures are painted with.

    Attributes:
        class_names: names of the ids; "unknown" comes last if there is such an id.
        colors: red, green and blue of each id, 0 to 255.
        height: rows of a picture, as in training.
        width: columns of a picture.
        z_dim: numbers of a whole style, those of classes included; 0 for none.
        class_style_dim: numbers of each class at the end of a style; 0 for none.
        has_encoder: whether photographs give styles.
        has_drafts: whether a picture is made from the one before, while somebody draws.
        files: what label map files hold; see `label_files`.
    """

    class_names: list[str]
    colors: list[list[int]]
    height: int
    width: int
    z_dim: int
    class_style_dim: int
    has_encoder: bool
    has_drafts: bool
    files: dict[str, Any]


def painted_model(predictor: Predictor) -> PaintedModel:
    """Reads what the painter must know from the assets of an export.

    Args:
        predictor: the export.

    Raises:
        UnsupportedError: if label maps for it cannot be painted, or it does not say its classes.
    """
    try:
        content = json.loads((predictor.version / "assets" / "config.json").read_text())
        labels, data = content["labels"], content["config"]["data"]
        names = [*labels["class_names"], *(["unknown"] if labels["has_unknown"] else [])]
        colors = [*labels["palette"], _UNKNOWN_COLOR][: len(names)]
        size = int(data["height"]), int(data["width"])
        files = label_files(labels)
    except (OSError, ValueError, LookupError, TypeError):
        raise UnsupportedError(
            "this export does not say its classes and its size, so it cannot be painted with; "
            "export the model again, with the command export"
        ) from None
    if labels.get("condition_channels"):
        raise UnsupportedError(
            "this model makes pictures of continuous maps, and the painter paints classes; "
            "serve a model of label maps to paint"
        )
    if not 1 <= len(names) <= _MOST_IDS:
        raise UnsupportedError(
            f"this model has {len(names)} classes, and the painter knows {_MOST_IDS} at most; "
            "serve a model of fewer classes to paint"
        )
    sizes = style_sizes(predictor.inputs.get("generate_with_style", {}))
    z_dim = sum(sizes.values())
    if z_dim and not predictor.draws_styles:
        raise UnsupportedError(
            "this export is of an earlier release, and its styles cannot be drawn one by one; "
            "export the model again, with the command export"
        )
    has_encoder = "encode_style" in predictor.inputs
    class_style_dim = sizes.get("class_styles", 0) // len(names)
    has_drafts = predictor.drafts is not None
    return PaintedModel(
        names, colors, *size, z_dim, class_style_dim, has_encoder, has_drafts, files
    )


def style_sizes(inputs: Signature) -> dict[str, int]:
    """Numbers of each part of a style, by the key of the input, in order.

    Args:
        inputs: of a signature.
    """
    return {
        key: math.prod(size or 0 for size in inputs[key].shape[1:])
        for key in STYLES
        if key in inputs
    }


def label_files(labels: Mapping[str, Any]) -> dict[str, Any]:
    """What label map files of a data set hold, as the painter reads and writes them.

    Args:
        labels: metadata of a label set, from `config.json` of an export.

    Returns:
        `kind`: "ids" for greyscale values, or "colors"; `read`: pairs of a value, or a colour, and
        its id; `write`: for each id the value, or the colour, that stands for it. Where several
        stand for one id, it is the first. An id that none stands for is written as itself.
    """
    count = len(labels["class_names"])
    num_ids = count + bool(labels["has_unknown"])
    files = labels.get("files") or {}
    if files.get("colors"):
        pairs = [list(each) for each in zip(files["colors"], files["color_ids"], strict=True)]
        kind = "colors"
        spare: list[Any] = [*labels["palette"], _UNKNOWN_COLOR]
    else:
        table = files.get("id_table") or [*range(count)]
        pairs = [[value, each] for value, each in enumerate(table) if each >= 0]
        if labels["has_unknown"] and not files.get("id_table"):
            pairs += [[count, count], [255, count]]
        kind, spare = "ids", [*range(num_ids)]
    pairs = [pair for pair in pairs if pair[1] < num_ids]
    # 255 stands for unknown before the id after the last class does.
    order = pairs if files.get("id_table") or kind == "colors" else pairs[::-1]
    first = {each: value for value, each in order[::-1]}
    return {"kind": kind, "read": pairs, "write": [first.get(i, spare[i]) for i in range(num_ids)]}
