"""What an evaluation is asked for: which pictures, in which styles, and what judges them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.setup.config import ConfigError
from experiments.setup.feature_networks import SIZES, check_independent
from experiments.setup.predictors import Model

FEATURES = tuple(SIZES)
_PUBLISHED = "pt_inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Which real pictures the generated ones are compared with.

    Args:
        labels: folder of label maps; None for a split of the model's data set.
        images: folder of the photographs of `labels`.
        instances: folder of the instance maps of `labels`, or None.
        data_dir: folder of the model's data set, if it was moved.
        split: of that data set; None for the one that was held out.
        max_images: int >= 2, how many pairs; None for all.
    """

    labels: str | os.PathLike[str] | None = None
    images: str | os.PathLike[str] | None = None
    instances: str | os.PathLike[str] | None = None
    data_dir: str | None = None
    split: str | None = None
    max_images: int | None = None

    def check(self) -> None:
        """Raises a ConfigError if an argument cannot be used."""
        if (self.labels is None) != (self.images is None):
            given, missing = ("images", "labels") if self.labels is None else ("labels", "images")
            raise ConfigError(
                f"--{given}: no effect without --{missing}; give both, or neither for the "
                "validation split"
            )
        for name in ("labels", "images", "instances"):
            folder = getattr(self, name)
            if folder is not None and not Path(folder).is_dir():
                raise ConfigError(f"--{name}={folder}: no such folder; give a folder of pictures")
        check_least(max_images=(self.max_images, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Styles:
    """The styles that pictures are made in.

    Args:
        style: "photograph", the style of the real picture, or "drawn", one of its own for each
            picture; None for "photograph" where the model has an encoder.
        num_styles: int >= 1, styles of each layout that are compared with each other.
        seed: int, of drawn styles, subsets and intervals.
    """

    style: str | None = None
    num_styles: int = 2
    seed: int = 0

    def of(self, model: Model) -> Styles:
        """The styles of a model. One that knows a single style has the style "none".

        Raises:
            ConfigError: if the model has no such styles.
        """
        if model.z_dim is None:
            if self.style is not None:
                raise ConfigError(
                    f"--style={self.style}: this model knows one style only; leave it out"
                )
            return replace(self, style="none", num_styles=1)
        if self.style == "photograph" and not model.has_encoder:
            raise ConfigError("--style=photograph: this model has no encoder; give --style=drawn")
        return replace(self, style=self.style or ("photograph" if model.has_encoder else "drawn"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBy:
    """What looks at the pictures.

    Args:
        features: names of the networks whose features are compared, of `FEATURES`.
        inception_weights: file of FID's network, `pt_inception-2015-12-05-6726825d.pth`; with
            "inception" among `features`.
        lpips: whether perceptual distances are measured.
        segmenter: workdir of a `segment`, or None for no segmentation scores.
        attribute: whether to find out how true styles are, where the data set has an attribute
            such as the time of day.
    """

    features: Sequence[str] = ("efficientnet_lite2",)
    inception_weights: str | os.PathLike[str] | None = None
    lpips: bool = True
    segmenter: str | os.PathLike[str] | None = None
    attribute: bool = True

    def check(self) -> None:
        """Raises a ConfigError if an argument cannot be used."""
        if not self.features:
            raise ConfigError(f"--features=: give some of {', '.join(FEATURES)}")
        for name in self.features:
            if name not in FEATURES:
                raise ConfigError(f"--features={name}: give some of {', '.join(FEATURES)}")
        if "inception" in self.features and self.inception_weights is None:
            raise ConfigError(
                "--features=inception: no package holds its weights; give "
                f"--inception_weights={_PUBLISHED}"
            )
        if self.inception_weights is not None and not Path(self.inception_weights).is_file():
            raise ConfigError(
                f"--inception_weights={self.inception_weights}: no such file; give {_PUBLISHED}"
            )

    def check_independent_of(self, model: Model) -> None:
        """Raises a ConfigError if the model was trained on the features that would score it."""
        for name in self.features:
            check_independent("--features", name, model.loss_networks)


def check_least(**given: tuple[int | None, int]) -> None:
    """Raises a ConfigError for a value that is given and less than the least one."""
    for name, (value, least) in given.items():
        if value is not None and value < least:
            raise ConfigError(f"--{name}={value}: give {least} or more")
