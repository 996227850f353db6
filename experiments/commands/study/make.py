"""Makes the folder of a study: pictures of two models, a page that shows them, and a key."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands.evaluate.pairs import Pair, split_pairs
from experiments.commands.study.page import write_page
from experiments.setup.config import ConfigError
from experiments.setup.layouts import shown_map
from experiments.setup.output import check_writable, write_text
from experiments.setup.predictors import Model, load_model, make_pictures
from pipelines.reading.prepared import without_canvases
from spade_tf.training.pictures import write_png

PAGE, PICTURES, KEY = "page", "pictures", "key.json"


def make_study(
    models: Sequence[str | os.PathLike[str]],
    *,
    output_dir: str | os.PathLike[str],
    data_dir: str | None = None,
    split: str | None = None,
    num_layouts: int = 40,
    num_checks: int = 4,
    seed: int = 0,
) -> Path:
    """Makes a two-alternative forced choice between the pictures of two models.

    Each trial shows a layout and a picture of each model. An attention check shows the photograph
    of the layout, and one of a very different layout in place of the other picture.

    Args:
        models: two workdirs of trainings, or exports, of one data set.
        output_dir: folder to write, new or empty: `page/` for those who answer, and `key.json`.
        data_dir: folder of the models' data set, if it was moved.
        split: of that data set; None for the one that was held out.
        num_layouts: int >= 1, trials.
        num_checks: int >= 0, attention checks among them.
        seed: int, of the choice of layouts and of drawn styles.

    Returns:
        The page.

    Raises:
        ConfigError: if an argument cannot be used, or the models are of different data sets.
        DataError: if the data set is not there.
    """
    if len(models) != 2:
        raise ConfigError(
            f"--models={','.join(map(str, models))}: give two, with a comma between them"
        )
    if num_layouts < 1 or num_checks < 0:
        raise ConfigError(
            f"--num_layouts={num_layouts}, --num_checks={num_checks}: give at least 1 layout and "
            "0 checks"
        )
    folder = Path(output_dir)
    check_writable(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--output_dir={folder}: it is not empty; give a new folder")
    loaded = [load_model(model, "--models") for model in models]
    names = [str(model) for model in models]
    _check_same_data(names, loaded)
    random = np.random.default_rng(seed)
    # The data set with canvases has all that the other one has.
    reader = max(loaded, key=lambda model: model.use_canvas)
    pairs = _choose(reader, data_dir, split, num_layouts + num_checks, random)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, names, loaded, pairs, num_layouts, seed, random)
        folder.mkdir(parents=True, exist_ok=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    page = folder / PAGE / "index.html"
    print(
        f"{page}: {num_layouts} trials and {num_checks} attention checks. Open it, or put "
        f"{folder / PAGE} on a web server; keep {KEY} to yourself. Everyone who answers gets a CSV "
        f"file at the end: collect these in a folder, and give it to --answers.",
        file=sys.stderr,
    )
    return page


def _check_same_data(names: Sequence[str], models: Sequence[Model]) -> None:
    one, other = models
    for what, values in (
        ("classes", (list(one.labels.class_names), list(other.labels.class_names))),
        ("sizes", (one.image_size, other.image_size)),
        ("data sets", (without_canvases(one.dataset), without_canvases(other.dataset))),
    ):
        if values[0] != values[1]:
            raise ConfigError(
                f"--models={','.join(names)}: they have different {what}; give two models of one "
                "data set and size"
            )


def _choose(
    model: Model,
    data_dir: str | None,
    split: str | None,
    count: int,
    random: np.random.Generator,
) -> list[Pair]:
    """Pairs of the split, in random order."""
    total, pairs = split_pairs(model, data_dir, split)
    if total < count:
        raise ConfigError(
            f"--num_layouts, --num_checks: {count} layouts are wanted, and the split has {total}; "
            "give fewer"
        )
    wanted = random.permutation(total)[:count].tolist()
    found = {index: pair for index, pair in enumerate(pairs) if index in set(wanted)}
    return [found[index] for index in wanted]


def _write(
    folder: Path,
    names: Sequence[str],
    models: Sequence[Model],
    pairs: Sequence[Pair],
    num_layouts: int,
    seed: int,
    random: np.random.Generator,
) -> None:
    pictures = folder / PAGE / PICTURES
    trials: list[dict[str, Any]] = []
    for number, (pair, shown, kind) in enumerate(_trials(models, pairs, num_layouts, seed)):
        name = f"{number:03d}"
        # By chance, so that no name of a file tells whose picture it is.
        first = int(random.integers(2))
        ordered = shown if first == 0 else shown[::-1]
        write_png(pictures / f"{name}_layout.png", shown_map(pair.maps, models[0].labels.palette))
        for place, picture in enumerate(ordered, 1):
            write_png(pictures / f"{name}_{place}.png", picture)
        # Which of the two files has the first model's picture, or the layout's photograph.
        trials.append({"trial": name, "kind": kind, "layout": pair.name, "first": first + 1})
    # Answers name the study, so that those of another are not counted.
    digest = hashlib.sha256(json.dumps([list(names), trials]).encode())
    for path in sorted(pictures.iterdir()):
        digest.update(path.read_bytes())
    study = digest.hexdigest()[:12]
    key = {"study": study, "models": list(names), "seed": seed, "trials": trials}
    write_text(folder / KEY, json.dumps(key, indent=1) + "\n")
    write_page(folder / PAGE / "index.html", study, [trial["trial"] for trial in trials])


def _trials(
    models: Sequence[Model], pairs: Sequence[Pair], num_layouts: int, seed: int
) -> Iterator[tuple[Pair, list[np.ndarray], str]]:
    for number, pair in enumerate(pairs):
        if number < num_layouts:
            yield pair, [_picture(model, pair, seed + number) for model in models], "pair"
        else:
            yield pair, [pair.image, least_like(pair, pairs).image], "check"


def _picture(model: Model, pair: Pair, seed: int) -> np.ndarray:
    """In the photograph's style where the model has an encoder, else in a drawn one."""
    z = None
    if model.z_dim is not None:
        from spade_tf.networks.styles import seeded_styles

        if model.has_encoder:
            label = pair.maps["label"][None] if "label" in pair.maps else None
            z = model.encode(pair.image[None].astype(np.float32) / 127.5 - 1, label)[:, None]
        else:
            z = seeded_styles(np.array([seed], np.int64), model.z_dim).numpy()[:, None]
    maps: Mapping[str, Any] = {name: value[None] for name, value in pair.maps.items()}
    return make_pictures(model, [pair.name], maps, z)[0, 0]


def least_like(pair: Pair, pairs: Sequence[Pair]) -> Pair:
    """The pair whose map has the fewest pixels in common."""
    key = "label" if "label" in pair.maps else "condition"

    def likeness(other: Pair) -> float:
        one, two = pair.maps[key], other.maps[key]
        if one.shape != two.shape:
            return 0.0
        return float((one == two).mean()) if key == "label" else -float(np.abs(one - two).mean())

    others = [other for other in pairs if other is not pair]
    if not others:
        raise ConfigError("--num_checks: a check needs a second layout; give more --num_layouts")
    return min(others, key=likeness)
