"""The styles that `generate` makes pictures in: of photographs, of numbers, and of single classes.

A whole style is one vector: that of the picture, and those of all classes after it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.layouts import Layout
from experiments.setup.photographs import read_photograph
from experiments.setup.predictors import Model
from pipelines.schema import BadFileError
from pipelines.sources.wording import counted


class StyleSource(NamedTuple):
    """Where the styles of pictures come from, as somebody says it.

    Attributes:
        images: photographs whose style the pictures get, or `CLASS:FILE`, the photograph whose
            style one class gets, given by name or id. Later ones win. Empty for drawn styles.
        labels: label maps of these photographs, in the same order. Empty for none: all of a
            photograph counts for every class then.
        resample_class: name or id of the class whose style is drawn anew for each sample, all
            else being the same; None to draw whole styles.
    """

    images: Sequence[str] = ()
    labels: Sequence[str] = ()
    resample_class: str | None = None


class StyleImage(NamedTuple):
    """A photograph that gives a style.

    Attributes:
        path: the photograph.
        of_class: int, the class that gets the style; None for the whole picture.
        labels: the photograph's label map; None if there is none.
    """

    path: Path
    of_class: int | None
    labels: Path | None


class WantedStyles(NamedTuple):
    """What pictures are to look like.

    Attributes:
        images: photographs; the later ones win.
        resampled: int, the class whose style is drawn anew for each sample; None for all styles.
        seed: int, of what is drawn; None for 0.
        num_samples: int >= 1.
    """

    images: tuple[StyleImage, ...] = ()
    resampled: int | None = None
    seed: int | None = None
    num_samples: int = 1

    @property
    def classes(self) -> list[int | None]:
        """The classes with a style of their own, in order; None for photographs of all classes."""
        resampled = [] if self.resampled is None else [self.resampled]
        classes = [*(image.of_class for image in self.images), *resampled]
        return classes if any(each is not None for each in classes) else []


def check_style_files(source: StyleSource) -> None:
    """Raises a ConfigError if files are not there, before a model is loaded or a server asked."""
    style_images, style_labels = source.images, source.labels
    for given in style_images:
        parts = given.split(":")
        if not any(Path(":".join(parts[i:])).is_file() for i in range(len(parts))):
            raise ConfigError(
                f"--style_image={given}: no such file; give a photograph, or CLASS:FILE"
            )
    for given in style_labels:
        if not Path(given).is_file():
            raise ConfigError(f"--style_labels={given}: no such file; give a label map")
    if style_labels and len(style_labels) != len(style_images):
        raise ConfigError(
            f"--style_labels={style_labels[0]}: {counted(len(style_labels), 'label map')} for "
            f"{counted(len(style_images), 'photograph')} of --style_image; give one for each, in "
            "the same order, or none"
        )


def wanted_styles(
    model: Model, source: StyleSource, seed: int | None = None, num_samples: int = 1
) -> WantedStyles:
    """What the flags ask for.

    Args:
        model: the model that makes the pictures.
        source: where the styles come from.
        seed: int of 64 bits; or None.
        num_samples: int >= 1.

    Raises:
        ConfigError: if the model has no such styles, or some would have no effect.
    """
    style_images, style_labels, resample_class = source
    maps: list[Path | None] = [Path(each) for each in style_labels]
    maps = maps or [None] * len(style_images)
    images = tuple(
        _style_image(model, given, labels) for given, labels in zip(style_images, maps, strict=True)
    )
    if style_labels and not model.class_style_dim:
        raise ConfigError(
            f"--style_labels={style_labels[0]}: no effect, as this model has no styles of "
            "classes; leave it out"
        )
    resampled = None
    if resample_class is not None:
        _require_class_styles(model, f"--resample_class={resample_class}", "leave it out")
        resampled = find_class(model, resample_class)
        if resampled is None:
            raise ConfigError(f"--resample_class={resample_class}: {_no_class(model)}")
    wanted = WantedStyles(images, resampled, seed, num_samples)
    _check_effects(model, wanted, style_images, resample_class)
    return wanted


def _check_effects(model, wanted, style_images, resample_class) -> None:
    seed, num_samples = wanted.seed, wanted.num_samples
    for name, value in (("num_samples", num_samples if num_samples > 1 else None), ("seed", seed)):
        if value is not None and model.z_dim is None:
            raise ConfigError(f"--{name}={value}: this model knows one style only; leave it out")
    whole = any(image.of_class is None for image in wanted.images)
    if wanted.resampled is None and whole:
        if num_samples > 1:
            raise ConfigError(
                f"--num_samples={num_samples}: the photograph of --style_image has one style, and "
                "so all samples would be the same picture; give one of the two"
            )
        if seed is not None:
            raise ConfigError(f"--seed={seed}: no effect with --style_image; leave it out")
    if wanted.resampled is not None:
        flag = f"--resample_class={resample_class}"
        if num_samples == 1:
            raise ConfigError(f"{flag}: give --num_samples=2 or more, each with a style of its own")
        for given, image in zip(style_images, wanted.images, strict=True):
            if image.of_class == wanted.resampled:
                raise ConfigError(
                    f"{flag}: this class has the style of --style_image={given}; give one of the "
                    "two"
                )
    if seed is not None and not -(2**63) <= seed <= 2**63 - num_samples:
        raise ConfigError(f"--seed={seed}: give one of 64 bits, with room for --num_samples")


def _style_image(model: Model, given: str, labels: Path | None) -> StyleImage:
    # A file of this very name is meant, whatever its name looks like.
    places = [i for i, letter in enumerate(given) if letter == ":"]
    if not Path(given).is_file():
        for place in reversed(places):
            of_class, path = find_class(model, given[:place]), given[place + 1 :]
            if of_class is not None and Path(path).is_file():
                _require_class_styles(
                    model, f"--style_image={given}", f"give --style_image={path} alone"
                )
                _require_encoder(model, given)
                return StyleImage(Path(path), of_class, labels)
        raise ConfigError(f"--style_image={given}: {_no_class(model)}, and no file of this name")
    _require_encoder(model, given)
    return StyleImage(Path(given), None, labels)


def _require_encoder(model: Model, given: str) -> None:
    if not model.has_encoder:
        raise ConfigError(f"--style_image={given}: this model has no encoder; leave it out")


def _require_class_styles(model: Model, flag: str, remedy: str) -> None:
    if not model.class_style_dim:
        raise ConfigError(f"{flag}: this model has no styles of classes; {remedy}")


def find_class(model: Model, name: str) -> int | None:
    """The id of a class, given by its name (capitals or not) or its id; None if there is none."""
    names = model.labels.id_names
    for known in (names, [each.casefold() for each in names]):
        for wanted in (name, name.casefold()):
            if wanted in known:
                return known.index(wanted)
    return int(name) if name.isdecimal() and int(name) < len(names) else None


def _no_class(model: Model) -> str:
    names = model.labels.id_names
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return f"no class of this model; its classes are {shown}"


def check_classes_are_there(
    model: Model, wanted: WantedStyles, layouts: Iterable[Layout], source: StyleSource
) -> None:
    """Refuses styles of classes that are on no label map; says on how few others are.

    Args:
        model: the model that makes the pictures.
        wanted: the styles.
        layouts: all label maps that pictures are made of.
        source: what gave `wanted.classes`, for the message.

    Raises:
        ConfigError: naming the first class that is on none of them.
    """
    given = [f"--style_image={each}" for each in source.images]
    given += [] if source.resample_class is None else [f"--resample_class={source.resample_class}"]
    count, found = 0, dict.fromkeys(wanted.classes, 0)
    for layout in layouts:
        count += 1
        on_it = set(np.unique(layout.maps["label"]).tolist())
        found = {each: number + (each in on_it) for each, number in found.items()}
    for each, flag in zip(wanted.classes, given, strict=True):
        if each is None or found[each] == count:
            continue
        name = model.labels.id_names[each]
        if not found[each]:
            maps = "the label map has no" if count == 1 else f"none of {count} label maps has a"
            raise ConfigError(
                f"{flag}: {maps} pixel of class {name}; give another class, or maps that have it"
            )
        print(
            f"{flag}: {found[each]} of {count} label maps have pixels of class {name}",
            file=sys.stderr,
        )


def styles_of(model: Model, wanted: WantedStyles) -> np.ndarray | None:
    """Whole styles `[num_samples, z_dim]`; None for a model of one style.

    Without photographs, sample `k` has the style of `seed + k`, as on a server. Where one class is
    drawn anew, all samples have the style of `seed`, and the class that of `seed + k`.

    Args:
        model: the model that makes the pictures.
        wanted: the styles.

    Raises:
        BadFileError: if a photograph or its label map cannot be used.
    """
    if model.z_dim is None:
        return None
    from spade_tf.networks.styles import seeded_styles

    numbers = (wanted.seed or 0) + np.arange(wanted.num_samples, dtype=np.int64)
    drawn = seeded_styles(numbers, model.z_dim).numpy()
    styles = drawn.copy()
    if wanted.resampled is not None:
        styles[:] = drawn[:1]
    for image in wanted.images:
        encoded = _encoded(model, image)
        part = slice(None) if image.of_class is None else _part(model, image.of_class)
        styles[:, part] = encoded[part]
    if wanted.resampled is not None:
        part = _part(model, wanted.resampled)
        styles[:, part] = drawn[:, part]
    return styles


def _part(model: Model, of_class: int) -> slice:
    """Where the style of a class is in whole styles."""
    assert model.z_dim is not None
    dim = model.class_style_dim
    first = model.z_dim - (model.labels.num_ids - of_class) * dim
    return slice(first, first + dim)


def _encoded(model: Model, image: StyleImage) -> np.ndarray:
    """The whole style of a photograph. Without a label map, all of it counts for every class."""
    photograph, label = read_photograph(model, image.path, image.labels)
    if label is not None and image.of_class is not None and not np.any(label == image.of_class):
        assert image.labels is not None
        name = model.labels.id_names[image.of_class]
        raise BadFileError(
            image.labels,
            "classes",
            f"no pixel of class {name}, whose style is asked for; give the label map of a "
            "photograph with it",
        )
    return model.encode(photograph, label)[0]
