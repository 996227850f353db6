"""An export that can be painted with: a tiny one, whose assets say its classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from served_networks import NUM_LABELS, SIZE

CLASSES = ("sky", "grass", "tree", "water", "rock")
PALETTE = ([118, 190, 238], [132, 186, 72], [30, 104, 52], [32, 96, 176], [128, 128, 124])
LABELS = {
    "class_names": list(CLASSES),
    "palette": list(PALETTE),
    "has_unknown": False,
    "has_instance": True,
    "condition_channels": 0,
    "files": {},
}


def paintable(version: Path, folder: Path) -> Path:
    """Copies an export and says in the copy what its classes are.

    The copy is quick: an export takes half a minute to be made.

    Args:
        version: the export.
        folder: where the copy goes.
    """
    assert len(CLASSES) == NUM_LABELS
    copy = folder / "tiny" / "1"
    shutil.copytree(version, copy)
    content = {"labels": LABELS, "config": {"data": {"height": SIZE, "width": SIZE}}}
    (copy / "assets" / "config.json").write_text(json.dumps(content))
    return copy
