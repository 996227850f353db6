"""The base of all builders: which examples there are, and how each is read."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from pipelines.schema import ArgumentError, LabelSet


class Example(NamedTuple):
    """One example, read and checked.

    Attributes:
        key: its name, unique in its split.
        features: what is stored, by name.
        num_off_palette: number of pixels whose colour is not in the palette.
    """

    key: str
    features: dict[str, Any]
    num_off_palette: int = 0


Reader = Callable[[Any], Example]


class SourceBuilder(tfds.core.GeneratorBasedBuilder):
    """Base of the builders. A subclass lists its items and says how an item becomes an example.

    `pipelines.prepare` writes the examples in shards that survive an interruption. TFDS's own
    `download_and_prepare` works too, but starts anew each time.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of items by split.
        reads_apart: whether several processes can read examples at once and save time.
    """

    reads_apart = True

    # Nothing is downloaded. Looking for checksums would need a package that TFDS does not declare.
    url_infos = None

    label_set: LabelSet
    num_examples: dict[str, int]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # TFDS has a Cityscapes of its own, and refuses a second class of that name.
        super().__init_subclass__(skip_registration=True, **kwargs)

    @classmethod
    def find_config(cls, config: Any) -> Any:
        """Returns the configuration of a name, the default one for None, or `config` itself.

        Raises:
            DataError: if there is none of that name.
        """
        known = {known.name: known for known in cls.BUILDER_CONFIGS}
        if config is None:
            config = cls.DEFAULT_BUILDER_CONFIG_NAME
        if not isinstance(config, str):
            return config
        if config not in known:
            raise ArgumentError("config", f"{config!r} received; give one of {', '.join(known)}")
        return known[config]

    @abc.abstractmethod
    def items(self) -> Mapping[str, Sequence[Any]]:
        """Returns the items of each split. Items can be pickled."""

    @abc.abstractmethod
    def reader(self) -> Reader:
        """Returns the function that reads the example of an item. It can be pickled."""

    @abc.abstractmethod
    def num_source_bytes(self, items: Sequence[Any]) -> int:
        """Returns about how many bytes these items take, encoded."""

    @abc.abstractmethod
    def describe(self, splits: tfds.core.SplitDict | None = None) -> tfds.core.DatasetInfo:
        """Returns the description of the data set.

        Args:
            splits: what was written of each split, once that is known.
        """

    @staticmethod
    def item_name(item: Any) -> str:
        """Returns the name of an item, unique in its split."""
        return str(item.stem)

    def left_out(self, prepared: Path | None = None) -> list[str]:
        """Returns the files of the source that are no part of the data set.

        Args:
            prepared: the folder of prepared data sets. Files in it are not counted.
        """
        del prepared
        return []

    def _info(self) -> tfds.core.DatasetInfo:
        return self.describe()

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        del dl_manager
        return {split: self._generate_examples(items) for split, items in self.items().items()}

    def _generate_examples(self, items: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        reader = self.reader()
        for item in items:
            example = reader(item)
            yield example.key, example.features
