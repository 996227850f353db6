"""Requests that TF Serving makes of a model before it calls it available."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

# Cells on each side of the layouts: their number of distinct neighbourhoods is that of drawings.
_CELLS = 8


def write_warmup_requests(version: Path, model: Any, model_name: str) -> bool:
    """Writes `assets.extra/tf_serving_warmup_requests`, one request per signature.

    The first request of each signature is slow, for what a runtime prepares then; TF Serving sends
    these before the model takes others.

    Args:
        version: directory of a SavedModel.
        model: the `ServedModel` that it was made from.
        model_name: what requests are addressed to.

    Returns:
        Whether it was written: the package tensorflow-serving-api is needed, and a line on stderr
        says so where it is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        print(
            "warm-up requests: none written, which needs the package tensorflow-serving-api; "
            "pip install 'spade-tf[serve]' and export again to have them",
            file=sys.stderr,
        )
        return False
    folder = version / "assets.extra"
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for signature, inputs in warmup_inputs(model):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(_message(value))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
    return True


def warmup_inputs(model: Any) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Names of signatures, and inputs for them: a layout of all classes in rectangles.

    Args:
        model: a `ServedModel`.
    """
    height, width = model.image_size
    rows = np.arange(height) * _CELLS // height
    columns = np.arange(width) * _CELLS // width
    cells = np.arange(_CELLS * _CELLS).reshape(_CELLS, _CELLS) % model.limits.num_labels
    label = cells[rows][:, columns].astype(np.int32)[None]
    ids, small, files = _maps(model.source_files, label)
    if model.use_instance_edges:
        ids["instance"] = small["instance"] = label
        files["instance_bytes"] = np.array([_png(label[0])], object)
    styles = {
        key: np.zeros([1, *spec.shape[1:]], np.float32)
        for key, spec in model.styles.specs(None).items()
    }
    seed = {"seed": np.zeros([1], np.int64)} if styles else {}
    yield "serving_default", {**ids, **seed}
    yield "serving_uint8", {**small, **seed}
    yield "generate_bytes", {**files, **seed}
    yield "generate_png_bytes", {**files, **seed}
    yield "generate", {**ids, **styles}
    if styles:
        yield "generate_with_style", {**ids, **styles}
        count = min(2, model.limits.max_pixels // (height * width))
        several = {key: each[None].repeat(count, 1) for key, each in styles.items()}
        yield "generate_styles", {**ids, **several}
    if model.encoder is not None:
        photograph = np.repeat(label[0, ..., None] % 256, 3, -1)
        given = {"image_bytes": np.array([_png(photograph)], object)}
        if model.styles.class_style_dim:
            given["label"] = label
        yield "encode_style", given
    if model.assets:
        yield "describe", {"name": np.array([next(iter(model.assets)).encode()], object)}


def _message(value: np.ndarray) -> Any:
    """A `TensorProto`; small whole numbers take one byte each in it, not four."""
    message = tf.make_tensor_proto(value)
    if value.dtype == np.int32:
        message.ClearField("tensor_content")
        message.int_val[:] = value.ravel().tolist()
    return message


def _maps(files: Any, label: np.ndarray) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A label map, or a continuous map made of one, for each kind of input."""
    if files.condition_channels:
        steps = (label * 37 % 256).astype(np.uint8)
        small = np.repeat(steps[..., None], files.condition_channels, -1)
        pixels = small[0, ..., 0] if files.condition_channels == 1 else small[0]
        return (
            {"condition": small.astype(np.float32) / 255.0},
            {"condition": small},
            {"condition_bytes": np.array([_png(pixels)], object)},
        )
    # What stands in files for ids; for those that have nothing there, something that has.
    values = np.asarray(files.colors or files.id_table, np.int32)
    stored = label[0]
    if files.colors or files.id_table:
        known = list(files.color_ids or files.id_table)
        chosen = np.unique([known.index(i) for i in known if i >= 0])
        places = [known.index(i) if i in known else chosen[0] for i in range(label.max() + 1)]
        stored = (values if files.colors else np.arange(len(values)))[np.array(places)[label[0]]]
    return (
        {"label": label},
        {"label": (label % 256).astype(np.uint8)},
        {"label_bytes": np.array([_png(stored)], object)},
    )


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Ids beyond 255 take 16 bits.
    kind = np.uint8 if pixels.max() < 256 else np.uint16
    Image.fromarray(pixels.astype(kind)).save(buffer, "PNG")
    return buffer.getvalue()
