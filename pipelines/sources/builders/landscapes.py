"""TFDS builder for the procedural landscapes: nothing to download, made from a seed."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from PIL import Image

from pipelines import landscapes, schema
from pipelines.landscapes import FIRST_VAL_INDEX
from pipelines.schema import DataError, LabelSet
from pipelines.sources import inspection
from pipelines.sources.builders.base import Example, SourceBuilder

# Of picture, labels and instances as PNGs, about.
_BYTES_PER_PIXEL = 3
NUM_TRAIN, NUM_VAL = 8000, 500


class _Size(NamedTuple):
    height: int
    width: int


_SIZES = (_Size(64, 64), _Size(128, 128), _Size(256, 256), _Size(256, 512), _Size(512, 512))


class LandscapesConfig(tfds.core.BuilderConfig):
    """Size and number of the pictures.

    Args:
        height: rows, 64 to 512, even.
        width: columns: height, or twice that.
        seed: of the data set, ≥ 0. Default 0.
        num_train: training pictures, 1 to 1,000,000. Default 8,000.
        num_val: validation pictures, ≥ 1. Default 500.

    Raises:
        DataError: if an argument is out of range.
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        seed: int = 0,
        num_train: int = NUM_TRAIN,
        num_val: int = NUM_VAL,
    ) -> None:
        if not 1 <= num_train <= FIRST_VAL_INDEX or num_val < 1:
            raise DataError(
                f"num_train, num_val: {num_train}, {num_val} received; give 1 to "
                f"{FIRST_VAL_INDEX} training and at least 1 validation picture"
            )
        try:
            landscapes.check(seed, 0, height, width)
        except ValueError as error:
            raise DataError(str(error)) from None
        # What differs from the default shows in the name, and so in the folder: a data set of
        # other counts is never taken for this one.
        name = f"{height}x{width}"
        if seed:
            name += f"_seed{seed}"
        if (num_train, num_val) != (NUM_TRAIN, NUM_VAL):
            name += f"_{num_train}+{num_val}"
        super().__init__(name=name, description=f"{height}×{width} pixels, seed {seed}")
        self.height = height
        self.width = width
        self.seed = seed
        self.num_train = num_train
        self.num_val = num_val


class LandscapeReader(NamedTuple):
    """Draws and encodes a picture.

    Attributes:
        seed: of the data set.
        height: rows.
        width: columns.
        num_ids: of its label set.
    """

    seed: int
    height: int
    width: int
    num_ids: int

    def __call__(self, index: int) -> Example:
        """Draws the picture of an index."""
        drawn = landscapes.render(self.seed, index, self.height, self.width)
        name = landscapes.example_name(index, drawn.time_of_day)
        image = io.BytesIO()
        Image.fromarray(drawn.image).save(image, "PNG")
        return Example(
            name,
            {
                "image": image.getvalue(),
                "label": inspection.encode_ids(drawn.label, self.num_ids),
                "instance": inspection.encode_ids(drawn.instance, schema.MAX_IDS),
                "name": name,
            },
        )


class Landscapes(SourceBuilder):
    """Procedural landscapes with exact label and instance maps.

    The pictures are given by a configuration, or else by their size, seed and number.

    Args:
        height: rows, 64 to 512, even. Default 128.
        width: columns: height, or twice that. Default: height.
        seed: of the data set, ≥ 0. Default 0.
        num_train: training pictures, 1 to 1,000,000. Default 8,000.
        num_val: validation pictures, ≥ 1. Default 500.
        config: a `LandscapesConfig`, or the name of a stock one such as `"256x512"`; the
            arguments above are then left at their defaults.
        data_dir: the folder of prepared data sets.

    Attributes:
        label_set: the `LabelSet` of the pictures.
        num_examples: number of pictures by split.

    Raises:
        DataError: if an argument is out of range.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        LandscapesConfig(height=size.height, width=size.width) for size in _SIZES
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "128x128"

    def __init__(
        self,
        *,
        height: int = 128,
        width: int | None = None,
        seed: int = 0,
        num_train: int = NUM_TRAIN,
        num_val: int = NUM_VAL,
        config: LandscapesConfig | str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if config is None:
            config = LandscapesConfig(
                height=height,
                width=height if width is None else width,
                seed=seed,
                num_train=num_train,
                num_val=num_val,
            )
            stock = {known.name: known for known in self.BUILDER_CONFIGS}
            config = stock.get(config.name, config)
        self.label_set = LabelSet(
            class_names=landscapes.CLASS_NAMES,
            palette=landscapes.PALETTE,
            has_unknown=False,
            has_instance=True,
        )
        super().__init__(config=config, data_dir=data_dir, **kwargs)
        chosen = self.builder_config
        self.num_examples = {"train": chosen.num_train, "val": chosen.num_val}

    def describe(self, splits: tfds.core.SplitDict | None = None) -> tfds.core.DatasetInfo:
        """Returns the description of the data set; see the base class."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Landscapes drawn from random numbers: coasts, lakes, mountains, plains, deserts, "
                "forests, rivers, snow and towns, each at dawn, noon, dusk, night or under cloud."
            ),
            features=schema.features(self.label_set.has_instance, self.label_set.num_ids),
            metadata=tfds.core.MetadataDict(self.label_set.to_metadata()),
            license="Apache-2.0",
            split_dict=splits,
        )

    def items(self) -> dict[str, Sequence[int]]:
        """The indices of the pictures."""
        config = self.builder_config
        return {
            "train": range(config.num_train),
            "val": range(FIRST_VAL_INDEX, FIRST_VAL_INDEX + config.num_val),
        }

    def reader(self) -> Any:
        """What draws a picture."""
        config = self.builder_config
        return LandscapeReader(config.seed, config.height, config.width, self.label_set.num_ids)

    def num_source_bytes(self, items: Sequence[int]) -> int:
        """An estimate: the pictures are not drawn yet."""
        pixels = self.builder_config.height * self.builder_config.width
        return len(items) * pixels * _BYTES_PER_PIXEL

    @staticmethod
    def item_name(item: int) -> str:
        """The index as text."""
        return f"{item:07d}"
