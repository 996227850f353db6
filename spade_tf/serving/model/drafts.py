"""Pictures while somebody draws: only what a stroke changed is computed anew."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from spade_tf.serving.requests import Request, Spec

Arrays = dict[str, np.ndarray]
Call = Callable[[Mapping[str, np.ndarray]], Arrays]

# The signature that computes them, among those of the export.
STAGE = "stage_draft"
# What a request for one names as its signature.
DRAFT = "draft"
# Its inputs beside those of the signature that makes the picture of any map.
OF_DRAFTS = ("drawing", "exact", "signature")
# What the pictures and features of all painters take at most, in bytes.
_MOST_BYTES = 1 << 29
_MOST_DRAWINGS = 64


class Draft(NamedTuple):
    """A picture, and what it takes to change it.

    Attributes:
        maps: the label map, its instances, and the style, by key.
        made: the picture and the features of each block, by key.
    """

    maps: Arrays
    made: Arrays


class Drafts:
    """Keeps the last picture of each painter, and computes the next one from it.

    A draft is close to the picture of its map, and equal to it where it was made whole: as the
    first of its drawing, after the style changed, or because it must be exact. Of many drawings,
    those that were changed last are kept. The others are made whole when they are changed.

    Args:
        call: runs `stage_draft`.
        inputs: specs of its inputs.
    """

    def __init__(self, call: Call, inputs: Mapping[str, Spec]):
        self._call = call
        self._inputs = dict(inputs)
        self._maps = [key for key in ("label", "instance", "z", "class_styles") if key in inputs]
        self._blank = self._zeros(set(inputs) - {*self._maps, "changed"})
        size = sum(each.nbytes for each in self._blank.values())
        self.most = min(max(_MOST_BYTES // size, 1), _MOST_DRAWINGS)
        self.size = inputs["label"].shape[1:]
        self._kept: OrderedDict[str, Draft] = OrderedDict()
        # Requests of several painters run in several threads.
        self._lock = threading.Lock()

    def picture(self, drawing: str, maps: Mapping[str, np.ndarray], exact: bool) -> np.ndarray:
        """The picture of a map, float32 `[1, H, W, 3]` in [-1, 1].

        Args:
            drawing: names what is painted, and by whom.
            maps: the label map and its style by key, of the shapes of the signature.
            exact: whether it must be the picture that the model makes of the map.
        """
        maps = {key: maps[key] for key in self._maps}
        with self._lock:
            before = self._kept.get(drawing)
        changed = self._whole()
        if before is not None and not exact:
            rectangle = changed_rectangle(before.maps, maps)
            if rectangle is None:
                return before.made["image"]
            changed = rectangle
        old = self._blank if before is None else before.made
        made = self._call({**maps, **old, "changed": changed})
        with self._lock:
            self._kept[drawing] = Draft(maps, made)
            self._kept.move_to_end(drawing)
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return made["image"]

    def warm_up(self) -> None:
        """Computes one, so that nobody who draws waits for the graph to be prepared."""
        self._call({**self._zeros(self._maps), **self._blank, "changed": self._whole()})

    def _zeros(self, keys: Iterable[str]) -> Arrays:
        specs = {key: self._inputs[key] for key in keys}
        return {
            key: np.zeros([n or 0 for n in each.shape], each.dtype) for key, each in specs.items()
        }

    def _whole(self) -> np.ndarray:
        return np.array([[0, 0], self.size], np.int32)


def draft_request(request: Request, drawing: str, exact: bool) -> Request:
    """A request for the picture of a map that is drawn, from one for the picture of any map.

    Where there are no drafts of such maps, its picture is made whole.

    Args:
        request: of one map.
        drawing: see `Drafts.picture`.
        exact: likewise.
    """
    added = (np.array(each) for each in (drawing, exact, request.signature))
    inputs = {**request.inputs, **dict(zip(OF_DRAFTS, added, strict=True))}
    # Each has a rectangle of its own, so that they share no batch.
    return request._replace(signature=DRAFT, inputs=inputs, key=object())


def changed_rectangle(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """The rectangle of a picture that differs between two maps with their styles.

    Args:
        before: maps `[1, H, W]` and styles by key.
        after: the same, changed.

    Returns:
        int32 `[2, 2]`: first and last row and column, the last ones exclusive; the whole picture if
        a style differs, None if nothing does.
    """
    height, width = after["label"].shape[1:]
    if any(not np.array_equal(before[k], after[k]) for k in ("z", "class_styles") if k in after):
        return np.array([[0, 0], [height, width]], np.int32)
    mask = before["label"] != after["label"]
    # An instance edge lies on both sides of a boundary.
    margin = int("instance" in after)
    if margin:
        mask = mask | (before["instance"] != after["instance"])
    rows, columns = (np.flatnonzero(mask[0].any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    first = [max(each[0] - margin, 0) for each in (rows, columns)]
    last = [min(each[-1] + 1 + margin, size) for each, size in ((rows, height), (columns, width))]
    return np.array([first, last], np.int32)
