"""Adds canvases to a prepared data set: collages of segments of its training pictures."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from pipelines.collage.bank import Bank, BankBuilder
from pipelines.collage.canvas import compose
from pipelines.collage.storage import save_bank
from pipelines.prepare.prepare import How, write
from pipelines.prepare.progress import OnProgress, progress_bars
from pipelines.reading.prepared import canvases_name, find_dataset, label_set, open_directory
from pipelines.schema import ArgumentError, DataError, LabelSet, with_canvas
from pipelines.sources import provenance
from pipelines.sources.builders.base import Example
from pipelines.sources.inspection import decode_image

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

# The split whose pictures are cut up.
_BANK_SPLIT = "train"


def compose_canvases(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str],
    bank_size: int = 1000,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Writes a copy of a prepared data set whose records have a canvas too, all of it or nothing.

    The copy is named after the data set: `landscapes/64x64` becomes `landscapes_canvases/64x64`.
    Its records are in the same order and in as many shards. A canvas of the training split has no
    segment of its own picture. The bank is kept beside the shards. After an interruption or a
    kill, the same call goes on after the last finished shard.

    Args:
        dataset: name of the data set; see `pipelines.reading.prepared.open_dataset`.
        data_dir: the folder of prepared data sets.
        bank_size: int >= 1, most segments of a class in the bank.
        seed: int >= 0, of the sample of segments, of classes that have more.
        overwrite: whether canvases that are there already are composed anew.
        on_progress: called with "bank" or a split, the number of its pictures done, and of all.
            Default: progress bars on standard error.

    Returns:
        A dictionary: `path`, `num_examples` by split, `seconds`, `already_composed`.

    Raises:
        DataError: if the data set is not there, has no label maps or no training split, or an
            argument is out of range; or if other canvases are there.
    """
    start = time.monotonic()
    source = open_directory(find_dataset(dataset, data_dir))
    labels = _checked_labels(source)
    # Checks the arguments before anything is read.
    bank = BankBuilder(labels.num_ids, bank_size, seed)
    settings = {"bank_size": bank_size, "seed": seed, "source": _digest(source)}
    target = CanvasBuilder(source, labels, Path(data_dir).expanduser(), settings)
    already_composed = not overwrite and target.is_there()
    if not already_composed:
        how = How(on_progress=on_progress)
        target.fill(bank, on_progress)
        write(target, target.root, target.root, how, plan=target.plan, finish=target.finish)
    splits = open_directory(target.data_dir).info.splits
    return {
        "path": str(target.data_dir),
        "num_examples": {name: split.num_examples for name, split in splits.items()},
        "seconds": time.monotonic() - start,
        "already_composed": already_composed,
    }


def _checked_labels(source: tfds.core.DatasetBuilder) -> LabelSet:
    labels, info = label_set(source), source.info
    if "canvas" in info.features:
        raise ArgumentError(
            "dataset", f"{info.full_name} has canvases already; give the one without"
        )
    if labels.condition_channels:
        raise ArgumentError(
            "dataset",
            f"{info.full_name} has continuous maps, and canvases are composed for label "
            "maps; give another",
        )
    if _BANK_SPLIT not in info.splits:
        raise ArgumentError(
            "dataset",
            f"{info.full_name} has no split {_BANK_SPLIT!r} to take segments from; it has "
            f"{', '.join(info.splits)}",
        )
    return labels


def _digest(source: tfds.core.DatasetBuilder) -> str:
    """A digest of all records of a data set."""
    digest = hashlib.blake2b(digest_size=16)
    for split in source.info.splits.values():
        for path in split.filepaths:
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


class _Place(NamedTuple):
    """Where a record is, and its number among the training pictures; None for other splits."""

    shard: str
    position: int
    number: int | None


class CanvasBuilder:
    """The data set with canvases, as `pipelines.prepare.prepare.write` takes it.

    Args:
        source: the data set without.
        labels: its label set.
        root: the folder of prepared data sets.
        settings: what the canvases follow from, which is written beside them.
    """

    def __init__(
        self,
        source: tfds.core.DatasetBuilder,
        labels: LabelSet,
        root: Path,
        settings: dict[str, Any],
    ) -> None:
        self.source, self.labels, self.root, self.settings = source, labels, root, settings
        info = source.info
        config = source.builder_config.name if source.builder_config else ""
        self.name = canvases_name(source.name)
        self._config_name = config
        self.data_dir = root / self.name / config / str(info.version)
        self.num_examples = {name: split.num_examples for name, split in info.splits.items()}
        self._bank: Bank | None = None

    @property
    def info(self) -> tfds.core.DatasetInfo:
        """The description of the data set."""
        return self.describe()

    def describe(self, splits: tfds.core.SplitDict | None = None) -> tfds.core.DatasetInfo:
        """Returns the description of the data set, with what was written of each split."""
        import tensorflow_datasets as tfds

        source = self.source.info
        return tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity(
                name=self.name,
                version=source.version,
                data_dir=str(self.data_dir),
                module_name=__name__,
                config_name=self._config_name,
                release_notes=source.release_notes,
            ),
            description=f"{source.description} With canvases of segments of training pictures.",
            features=with_canvas(source.features),
            metadata=tfds.core.MetadataDict(
                {**self.labels.to_metadata(), "canvases": self.settings}
            ),
            split_dict=splits,
        )

    def is_there(self) -> bool:
        """Whether just these canvases have been composed.

        Raises:
            DataError: if others have.
        """
        provenance.move_back(self.data_dir)
        if not self.data_dir.exists():
            return False
        there = (open_directory(self.data_dir).info.metadata or {}).get("canvases")
        if there != self.settings:
            names = [key for key, value in self.settings.items() if (there or {}).get(key) != value]
            raise DataError(
                f"{self.data_dir}: composed with another {', '.join(names)}; pass --overwrite to "
                "compose it anew"
            )
        return True

    def fill(self, bank: BankBuilder, on_progress: OnProgress | None) -> None:
        """Fills the bank with the training pictures."""
        total = self.num_examples[_BANK_SPLIT]
        shards = [str(path) for path in self.source.info.splits[_BANK_SPLIT].filepaths]
        with progress_bars() as bars:
            tell = on_progress or bars
            number = 0
            for shard in shards:
                for record in _records(shard, self.source.info.features):
                    bank.add(number, decode_image(record["image"]), *_maps(record))
                    number += 1
                    tell("bank", number, total)
        self._bank = bank.finish()

    def plan(self, _builder: Any, _shard_bytes: int) -> list[Any]:
        """The shards: one for each of the source, with the same records."""
        import tensorflow_datasets as tfds

        from pipelines.prepare.shards import Shard

        shards = []
        for split, info in self.source.info.splits.items():
            template = tfds.core.ShardedFileTemplate(
                data_dir=self.data_dir,
                dataset_name=self.name,
                split=split,
                filetype_suffix="tfrecord",
            )
            start, count = 0, len(info.shard_lengths)
            for i, (path, length) in enumerate(
                zip(info.filepaths, info.shard_lengths, strict=True)
            ):
                numbers = [start + k if split == _BANK_SPLIT else None for k in range(length)]
                places = [_Place(str(path), k, number) for k, number in enumerate(numbers)]
                name = template.sharded_filepath(shard_index=i, num_shards=count).name
                shards.append(Shard(name, split, places))
                start += length
        return shards

    def finish(self, directory: Path) -> None:
        """Writes the bank beside the shards, for label maps of other places."""
        assert self._bank is not None
        save_bank(self._bank, directory)

    def reader(self) -> Callable[[_Place], Example]:
        """The function that makes the record of a place, with its canvas."""
        assert self._bank is not None
        return _Composer(self._bank, self.source.info.features, repr(self.settings))


class _Composer:
    """Makes records with canvases. Places of a shard are best given in their order.

    Args:
        bank: of segments.
        features: of the records.
        settings: what the bank follows from.
    """

    def __init__(self, bank: Bank, features: Any, settings: str) -> None:
        self._bank, self._features, self._settings = bank, features, settings
        self._records: Iterator[dict[str, bytes]] = iter(())
        self._next: tuple[str, int] = ("", 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def __call__(self, place: _Place) -> Example:
        if self._next != (place.shard, place.position):
            self._records = _records(place.shard, self._features, place.position)
        record = next(self._records)
        self._next = (place.shard, place.position + 1)
        canvas = io.BytesIO()
        composed = compose(self._bank, *_maps(record), exclude=place.number)
        Image.fromarray(composed).save(canvas, "PNG")
        return Example(
            record["name"].decode(),
            {**record, "name": record["name"].decode(), "canvas": canvas.getvalue()},
        )


def _records(shard: str, features: Any, skip: int = 0) -> Iterator[dict[str, bytes]]:
    """The records of a shard, their pictures still encoded.

    Raises:
        DataError: if one is damaged.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    decoders = {key: tfds.decode.SkipDecoding() for key in features if key != "name"}

    def parse(serialized: tf.Tensor) -> Any:
        return features.deserialize_example(serialized, decoders=decoders)

    parsed = tf.data.TFRecordDataset(shard).skip(skip)
    parsed = parsed.map(tf.autograph.experimental.do_not_convert(parse))
    try:
        yield from parsed.as_numpy_iterator()
    except tf.errors.DataLossError:
        raise DataError(f"{shard}: a record is damaged; prepare the data set again") from None


def _maps(record: dict[str, bytes]) -> tuple[np.ndarray, np.ndarray | None]:
    """The label map of a record, and its instance map, if there is one."""
    label, instance = (
        np.asarray(Image.open(io.BytesIO(record[key]))) if key in record else None
        for key in ("label", "instance")
    )
    assert label is not None
    return label, instance
