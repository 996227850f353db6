"""The painter as a folder of static files: the page, LiteRT.js and LiteRT models."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.commands.export.litert_js import write_litert_js
from experiments.setup.config import Config, ConfigError
from experiments.setup.sizing import photograph_shape
from pipelines.schema import LabelSet
from spade_tf.export.errors import ExportError

if TYPE_CHECKING:
    from experiments.commands.export.litert import Examples
    from experiments.setup.trained_model import TrainedModel

WEIGHTS = ("float16", "float32", "dynamic_int8")
NUM_SAMPLES = 12
# The painter keeps a label map as one byte per pixel.
_MOST_IDS = 256
# Cells per side of what browsers compare their pictures by.
_CELLS = 4
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_HEAD = '<meta charset="utf-8">\n'
_STATUS = '<p id="status" role="status"></p>'
_STARTING = (
    '<p id="status" role="status">The painter starts. If this stays here, a web server is missing: '
    "README.txt, beside this page, says how to start one.</p>"
)
_README = """This folder is a painter: paint a label map, and the picture follows.
Pictures are made in the browser. The folder needs a web server, any one, and nothing else:

    python -m http.server --bind 127.0.0.1 8000

in this folder, and then http://127.0.0.1:8000 in a browser. Or copy the folder to a web server.
A web server that sends these two headers lets the browser use several processor cores:

    Cross-Origin-Opener-Policy: same-origin
    Cross-Origin-Embedder-Policy: require-corp

index.html, painter/   the page (spade-tf, Apache License 2.0)
litert/                LiteRT.js, what runs the model (Google LLC, Apache License 2.0)
model/                 the model
"""


def check_paintable(config: Config, labels: LabelSet) -> None:
    """Raises a ConfigError if the model cannot be painted with.

    Args:
        config: configuration of the run.
        labels: the label set of the run.
    """
    if labels.condition_channels:
        raise ConfigError(
            f"--format=web: {config.name} makes pictures of continuous maps, and the painter "
            "paints classes; export a model of label maps"
        )
    if config.generator.class_style_dim:
        raise ConfigError(
            f"--format=web: {config.name} has styles of classes (generator.class_style_dim="
            f"{config.generator.class_style_dim}), and this painter does not know them; paint with "
            "serve, or export a model without"
        )
    if labels.num_ids > _MOST_IDS:
        raise ConfigError(
            f"--format=web: {config.name} has {labels.num_ids} classes, and the painter knows "
            f"{_MOST_IDS} at most; export a model of fewer classes"
        )


def write_web(
    loaded: TrainedModel,
    staging: Path,
    model_name: str,
    examples: Examples,
    *,
    litert_js: Path,
    weights: str,
) -> Path:
    """Writes the folder `staging/web`.

    Args:
        loaded: a training run.
        staging: an empty folder or one with other exports.
        model_name: what the page calls the model.
        examples: of its data set, to compare with Keras on.
        litert_js: see `find_litert_js`.
        weights: of `WEIGHTS`, the form that the networks are written in.

    Returns:
        The folder.

    Raises:
        ExportError: if a model cannot be made, or is too far from Keras's.
    """
    models = _write_models(loaded, staging / "models_of_web", examples, weights)
    folder = staging / "web"
    (folder / "model" / "layouts").mkdir(parents=True)
    names = loaded.labels.id_names
    facts: dict[str, Any] = {
        "name": model_name,
        "step": loaded.step,
        "classes": [
            {"name": name, "color": list(color)}
            for name, color in zip(names, loaded.labels.palette, strict=True)
        ],
        "files": _files(loaded.labels),
        "samples": _write_layouts(loaded, names, folder / "model" / "layouts"),
        **_write_networks(loaded, models, folder / "model", weights),
    }
    (folder / "model" / "model.json").write_text(json.dumps(facts) + "\n")
    _write_page(folder)
    write_litert_js(litert_js, folder / "litert")
    (folder / "litert" / "LICENSE").write_bytes((folder / "LICENSE").read_bytes())
    return folder


def _write_models(loaded, folder, examples, weights):
    from experiments.commands.export.litert import write_litert

    # Encoders are written in floats alone.
    variants = [weights]
    if weights == "dynamic_int8" and loaded.encoder is not None:
        variants.append("float16")
    models = write_litert(loaded, folder, examples, variants=variants, allow_below_bound=variants)
    facts = [json.loads(path.read_text()) for path in models.glob("*.json")]
    if found := [each for one in facts for each in one["objections"]]:
        others = ", ".join(f"--weights={other}" for other in WEIGHTS if other != weights)
        raise ExportError(
            f"--weights={weights}: {'; '.join(found)}: nothing written; give {others}, or "
            "train the model longer"
        )
    return models


def _files(labels: LabelSet) -> dict[str, Any]:
    from spade_tf.serving.fronts.painted_model import label_files

    return label_files(labels.to_metadata())


def _write_layouts(loaded: TrainedModel, names: list[str], folder: Path) -> int:
    """Writes sample layouts, if there are any, and gives their number."""
    from PIL import Image

    from experiments.commands.serve import sample_layouts

    data = loaded.config.data
    sampler = sample_layouts(names, data.height, data.width)
    if sampler is None:
        return 0
    for index in range(NUM_SAMPLES):
        label = np.ascontiguousarray(sampler(index), np.uint8)
        Image.fromarray(label).save(folder / f"{index + 1}.png", optimize=True)
    return NUM_SAMPLES


def _write_networks(
    loaded: TrainedModel, models: Path, folder: Path, weights: str
) -> dict[str, Any]:
    """Copies the networks, and gives what the page must know of them."""
    from spade_tf.export.litert.model import LiteRTModel

    content = (models / f"generator_{weights}.tflite").read_bytes()
    facts = json.loads((models / f"generator_{weights}.json").read_text())
    shapes = {each["name"]: each["shape"] for each in facts["inputs"]}
    _, height, width, channels = shapes["semantics"]
    networks = {"generator": content}
    encoder = next(models.glob("encoder_*.tflite"), None)
    if encoder is not None:
        networks["encoder"] = encoder.read_bytes()
    for name, network in networks.items():
        (folder / f"{name}.tflite").write_bytes(network)
    described = {
        name: {"file": f"{name}.tflite", "bytes": len(network)}
        for name, network in networks.items()
    }
    num_ids = loaded.labels.num_ids
    styles = shapes["z"][1] if "z" in shapes else 0
    made = LiteRTModel(content)(**check_inputs(height, width, channels, num_ids, styles))
    return {
        "encoder": None,
        **described,
        "height": height,
        "width": width,
        "channels": channels,
        "numIds": num_ids,
        "styles": styles,
        "photographs": photograph_shape(loaded.config),
        "check": cell_means(made["image"][0]),
    }


def check_inputs(
    height: int, width: int, channels: int, num_ids: int, styles: int
) -> dict[str, np.ndarray]:
    """What a generator is tried on: bands of all classes, in the style of zeros.

    Args:
        height: rows of the map.
        width: columns of the map.
        channels: of the input; one more than there are ids for the edges between them.
        num_ids: ids of classes.
        styles: numbers of a style; 0 for none.

    Returns:
        `semantics`, float32 `[1, height, width, channels]`, and `z` if there are styles.
    """
    rows = np.arange(height) * num_ids // height
    semantics = np.zeros((1, height, width, channels), np.float32)
    semantics[0, np.arange(height), :, rows] = 1.0
    if channels > num_ids:
        (edges,) = np.nonzero(np.diff(rows))
        semantics[0, np.concatenate([edges, edges + 1]), :, num_ids] = 1.0
    return {"semantics": semantics, **({"z": np.zeros((1, styles), np.float32)} if styles else {})}


def cell_means(image: np.ndarray) -> list[float]:
    """The means of a picture, `[H, W, 3]`, in cells of a grid, row by row."""
    rows, columns = (np.arange(_CELLS + 1) * size // _CELLS for size in image.shape[:2])
    return [
        round(float(image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean()), 4)
        for i in range(_CELLS)
        for j in range(_CELLS)
    ]


def _write_page(folder: Path) -> None:
    """Writes the page of the painter, which then names the engine of the browser."""
    painter = resources.files("spade_tf.serving").joinpath("painter")
    for source, target in ((painter, "painter"), (painter / "browser", "painter/browser")):
        (folder / target).mkdir()
        for path in source.iterdir():
            if path.name.endswith((".js", ".css", ".svg")):
                (folder / target / path.name).write_bytes(path.read_bytes())
    page = (painter / "index.html").read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    engine = '<meta name="painter-engine" content="browser">\n'
    page = page.replace(_HEAD, _HEAD + policy + engine).replace(_STATUS, _STARTING)
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "LICENSE").write_bytes((painter / "LICENSE").read_bytes())
    (folder / "README.txt").write_text(_README)


def say_how_to_open(folder: Path) -> None:
    """Prints the command that shows a painter, on stderr."""
    place = shlex.quote(str(folder))
    print(
        f"paint: python -m http.server --bind 127.0.0.1 --directory {place} 8000, and open "
        "http://127.0.0.1:8000",
        file=sys.stderr,
    )
