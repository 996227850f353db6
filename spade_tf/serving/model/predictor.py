"""An export in this process: what the embedded server asks for pictures."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spade_tf.serving.errors import BadRequestError, ServingError, sentence
from spade_tf.serving.model import drafts as drafting
from spade_tf.serving.model.folders import newest_version
from spade_tf.serving.model.graphs import load_parts, read_meta_graph
from spade_tf.serving.model.work import read_work
from spade_tf.serving.requests import Spec

Arrays = dict[str, np.ndarray]

_STAGE = "stage_"
# The inputs that a style consists of, in order.
STYLES = ("z", "class_styles")
# By which parts signatures are made; exports have them since they are loaded in sessions.
_PARTS = {
    "serving_default": ("prepare_seeds", "finish_uint8"),
    "serving_uint8": ("prepare_uint8", "finish_uint8"),
    "generate_bytes": ("prepare_jpeg", "finish_jpeg"),
    "generate_png_bytes": ("prepare_png", "finish_png"),
    "generate_with_style": ("prepare_ids", "finish_uint8"),
    "generate_styles": ("prepare_styles", "finish_uint8"),
    "generate": ("prepare_ids", ""),
}


class Predictor:
    """The signatures of a SavedModel.

    It is loaded as TF Serving loads it, into a session: that takes less than half of the time of
    `tf.saved_model.load`, which also makes a Python function of every function in the model.

    Args:
        directory: of a version, or of a model's numbered versions, of which the newest is taken.
        drafts: whether pictures of somebody who draws are asked for, too.

    Attributes:
        version: its directory.
        inputs: specs of the inputs, by signature and key.
        outputs: likewise.
        signature_defs: as they are saved, by name.
        work: what pictures take; None of exports that do not say.
        drafts: what makes pictures while somebody draws; None if the export has no such signature,
            or it was not asked for.

    Raises:
        ServingError: if it holds no SavedModel of this project.
    """

    def __init__(self, directory: str | os.PathLike[str], drafts: bool = False):
        self.version = newest_version(Path(directory))
        self.work = read_work(self.version)
        try:
            meta_graph = read_meta_graph(self.version)
        except (OSError, ValueError) as error:
            raise _not_loaded(directory, error) from error
        self.signature_defs = dict(meta_graph.signature_def)
        if "serving_default" not in self.signature_defs:
            raise ServingError(
                f"--model={directory}: no signature serving_default in it; export it again"
            )
        named = {
            name: definition
            for name, definition in self.signature_defs.items()
            if definition.inputs and definition.outputs
        }
        self._stages = {name for name in named if name.startswith(_STAGE)}
        shown = {name: each for name, each in named.items() if name not in self._stages}
        self.inputs = {name: _in_order(_specs(each.inputs)) for name, each in shown.items()}
        self.outputs = {name: _specs(each.outputs) for name, each in shown.items()}
        # Signatures that are run in parts are not run themselves.
        unused = set(_PARTS if self._stages else ()) | set(() if drafts else (drafting.STAGE,))
        run = [name for name in named if name not in unused]
        try:
            self._sessions = load_parts(self.version, meta_graph, run)
        except (OSError, ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
            raise _not_loaded(directory, error) from error
        self._calls = {name: _callable(self._sessions[name], named[name]) for name in run}
        self.drafts = None
        if drafting.STAGE in run:
            specs = _specs(named[drafting.STAGE].inputs)
            self.drafts = drafting.Drafts(self._calls[drafting.STAGE], specs)

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Outputs of a signature; safe to be called from several threads.

        Args:
            signature: its name.
            inputs: arrays by key, of the dtypes of its specs.

        Raises:
            BadRequestError: with the sentence of the check that refused them.
        """
        try:
            if signature == drafting.DRAFT:
                return self._draft(inputs)
            if signature in _PARTS and self._stages:
                return self._in_stages(*_PARTS[signature], inputs)
            return self._calls[signature](inputs)
        except tf.errors.InvalidArgumentError as error:
            raise BadRequestError(sentence(str(error))) from None

    def _draft(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """The picture of a map that is drawn; see `draft_request` for the inputs."""
        maps = {key: each for key, each in inputs.items() if key not in drafting.OF_DRAFTS}
        # A page that is open may not know that another version is served by now.
        if self.drafts is None or inputs["label"].shape[1:] != self.drafts.size:
            return self.run(str(inputs["signature"]), maps)
        maps["label"] = maps["label"].astype(np.int32)
        drawing, exact = str(inputs["drawing"]), bool(inputs["exact"])
        maps = self._calls[f"{_STAGE}prepare_ids"](maps)
        image = self.drafts.picture(drawing, maps, exact)
        return self._calls[f"{_STAGE}finish_uint8"]({"image": image})

    @property
    def draws_styles(self) -> bool:
        """Whether it tells the style of a seed; exports of earlier releases do not."""
        return f"{_STAGE}prepare_uint8" in self._calls

    def style_of_seed(self, seed: int, size: tuple[int, int]) -> np.ndarray:
        """The whole style that a seed stands for, float32 `[n]`: `z`, and then `class_styles`.

        Args:
            seed: of 64 bits.
            size: height and width that the model takes; the style does not depend on it.
        """
        label = np.zeros([1, *size], np.uint8)
        inputs: Arrays = {"label": label, "seed": np.array([seed], np.int64)}
        if "instance" in self.inputs["serving_uint8"]:
            inputs["instance"] = np.zeros([1, 1, 1], np.int32)
        return whole_style(self._calls[f"{_STAGE}prepare_uint8"](inputs))

    def _in_stages(self, prepare: str, finish: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """A signature by its parts, so that the graph of the generator is there once for all."""
        maps = self._calls[_STAGE + prepare](inputs)
        picture, last = self._calls[f"{_STAGE}picture"], self._calls.get(_STAGE + finish)
        if prepare != "prepare_styles":
            made = picture(maps)
            return made if last is None else last(made)
        assert last is not None
        layouts = []
        for row in range(len(next(iter(maps.values())))):
            # All styles of one layout at once.
            one = {
                key: each[row] if key in STYLES else each[row : row + 1]
                for key, each in maps.items()
            }
            layouts.append(last(picture(one))["image"])
        return {"image": np.stack(layouts)}

    def warm_up(self) -> int:
        """Makes one request of every signature, on all processors; returns how many there were.

        The export's own warm-up requests; `generate` and `describe`, which older exports have none
        of, are asked from what the others hold.
        """
        path = self.version / "assets.extra" / "tf_serving_warmup_requests"
        if not path.exists():
            return 0
        requests = dict(_warmup_requests(path))
        for name in set(self.inputs) - set(requests):
            known = {key: value for each in requests.values() for key, value in each.items()}
            given = self._made_up(name, requests, known)
            if given is not None:
                requests[name] = given
        requests = {name: given for name, given in requests.items() if name in self.inputs}
        if not requests:
            return 0
        with ThreadPoolExecutor(len(requests) + 1) as threads:
            drafts = self.drafts and threads.submit(self.drafts.warm_up)
            list(threads.map(lambda item: self.run(*item), requests.items()))
            if drafts:
                drafts.result()
        return len(requests)

    def _made_up(self, name, requests, known):
        """A request of a signature from what others were given, or None."""
        if name == "describe":
            assets = self.version / "assets"
            names = (
                sorted(each.name.encode() for each in assets.iterdir()) if assets.is_dir() else []
            )
            return {"name": np.array([*names[:1], None], object)[:-1]} if names else None
        # One with the same keys and shapes, such as generate_with_style's for generate.
        for other, given in requests.items():
            if self.inputs.get(other) == self.inputs[name]:
                return given
        return None

    def close(self) -> None:
        """Gives its memory back."""
        for session in set(self._sessions.values()):
            session.close()


def whole_style(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The style of the first row of outputs, float32 `[n]`: `z`, and then `class_styles`."""
    return np.concatenate([outputs[key][0].ravel() for key in STYLES if key in outputs])


def _not_loaded(directory: Any, error: Exception) -> ServingError:
    reason = " ".join(str(error).split())[:200]
    return ServingError(f"--model={directory}: cannot be loaded ({reason})")


def _callable(session: Any, definition: Any) -> Callable[[Mapping[str, np.ndarray]], Arrays]:
    """From inputs to outputs of a signature, by key."""
    inputs, outputs = sorted(definition.inputs), sorted(definition.outputs)
    call = session.make_callable(
        [definition.outputs[key].name for key in outputs],
        [definition.inputs[key].name for key in inputs],
    )

    preparing, prepared = threading.Lock(), threading.Event()

    def run(given: Mapping[str, np.ndarray]) -> Arrays:
        # First calls at the same time would each prepare the graph.
        with contextlib.nullcontext() if prepared.is_set() else preparing:
            made = call(*(given[key] for key in inputs))
        prepared.set()
        return dict(zip(outputs, made, strict=True))

    return run


def _warmup_requests(path):
    from tensorflow_serving.apis import prediction_log_pb2

    for record in tf.data.TFRecordDataset([str(path)]):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def _specs(tensors):
    """Specs of the tensors of a signature, by key."""
    return {
        key: Spec(
            tf.dtypes.as_dtype(info.dtype).name,
            tuple(None if each.size < 0 else each.size for each in info.tensor_shape.dim),
        )
        for key, info in sorted(tensors.items())
    }


def _in_order(specs):
    """What a map is given by first, as in messages."""
    maps = ("label", "condition")
    return {key: specs[key] for key in sorted(specs, key=lambda k: (not k.startswith(maps), k))}
