"""TFDS builder for one's own data: folders of photographs and label maps, matched by stem."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines import inspection, schema
from pipelines.schema import DataError, LabelSet

LAYOUT = "{train,val}_{img,label,inst}/ (val and inst are optional)"


class PairedFolder(tfds.core.GeneratorBasedBuilder):
    """Photographs, label maps and, optionally, instance maps from a folder of folders.

    The layout is `{train,val}_{img,label,inst}/`; files of one example share their stem. Label
    maps are single-channel PNGs of the class ids, where 255 (65535 if there are more than 255
    classes) means unknown and is stored as id `num_classes`. Instance maps are single-channel PNGs
    of 8 or 16 bits. Pairing is checked on construction, the content of each file as it is stored.

    Args:
        source_dir: the folder that holds `train_img/`, `train_label/` and so on.
        data_dir: where prepared data sets are kept.
        num_classes: int, 1 to 65535. Default: the number of `class_names`.
        class_names: names of the ids `0..num_classes-1`. Default: the lines of
            `classes.txt` in `source_dir` if there is one, otherwise `class 0` and so on.
        has_unknown: whether unknown pixels are allowed. Default True.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of pairs by split.

    Raises:
        DataError: if folders or files are missing or unmatched, or the classes are not given.
    """

    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded; looking for checksums would need a package that TFDS does not declare.
    url_infos = None

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
        has_unknown: bool = True,
        **kwargs: Any,
    ) -> None:
        self._pairs = _find_splits(Path(source_dir))
        names = _class_names(Path(source_dir), self._pairs["train"], num_classes, class_names)
        self.label_set = LabelSet(
            class_names=names,
            palette=schema.default_palette(len(names), has_unknown),
            has_unknown=has_unknown,
            has_instance=self._pairs["train"][0].instance is not None,
        )
        self.num_examples = {split: len(pairs) for split, pairs in self._pairs.items()}
        super().__init__(data_dir=data_dir, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Photographs with label maps from a folder.",
            features=schema.features(self.label_set.has_instance, self.label_set.num_ids),
            metadata=tfds.core.MetadataDict(self.label_set.to_metadata()),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager
        return {split: self._generate_examples(pairs) for split, pairs in self._pairs.items()}

    def _generate_examples(
        self, pairs: Sequence[inspection.Pair]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for pair in pairs:
            yield pair.stem, self._example(pair)

    def _example(self, pair: inspection.Pair) -> dict[str, Any]:
        image = inspection.read_image(pair.image)
        label = inspection.read_ids(pair.label)
        inspection.check_same_size(label, pair.label, image, pair.image)
        label = inspection.remap_label(
            label, pair.label, self.label_set.num_classes, self.label_set.has_unknown
        )
        example = {
            "image": image.encoded,
            "label": inspection.encode_ids(label, self.label_set.num_ids),
            "name": pair.stem,
        }
        if pair.instance is not None:
            instance = inspection.read_ids(pair.instance)
            inspection.check_same_size(instance, pair.instance, image, pair.image)
            example["instance"] = inspection.encode_ids(instance, schema.MAX_IDS)
        return example


def _find_splits(source_dir: Path) -> dict[str, list[inspection.Pair]]:
    if not source_dir.is_dir():
        raise DataError(f"source_dir: no folder {source_dir}; the layout wanted is {LAYOUT}")
    splits = ["train"]
    if (source_dir / "val_img").exists() or (source_dir / "val_label").exists():
        splits.append("val")
    instance_dirs = [source_dir / f"{split}_inst" for split in splits]
    has_instance = any(directory.exists() for directory in instance_dirs)
    return {
        split: inspection.find_pairs(
            image_dir=source_dir / f"{split}_img",
            label_dir=source_dir / f"{split}_label",
            instance_dir=instance_dir if has_instance else None,
            layout=LAYOUT,
        )
        for split, instance_dir in zip(splits, instance_dirs, strict=True)
    }


def _class_names(
    source_dir: Path,
    pairs: Sequence[inspection.Pair],
    num_classes: int | None,
    class_names: Sequence[str] | None,
) -> tuple[str, ...]:
    origin = "class_names"
    names = tuple(class_names) if class_names else ()
    classes_file = source_dir / "classes.txt"
    if not names and classes_file.exists():
        origin = str(classes_file)
        names = inspection.read_class_names(classes_file)
    if not names and num_classes is None:
        largest, num_files = inspection.largest_label_id(pairs)
        raise DataError(
            f"num_classes: not given, and no {classes_file}; the largest id found in {num_files} "
            f"label maps is {largest} (255 left out), so pass --num_classes={max(largest, 0) + 1} "
            "or more"
        )
    if num_classes is not None and not 1 <= num_classes < schema.MAX_IDS:
        raise DataError(f"num_classes: {num_classes} received; give 1 to {schema.MAX_IDS - 1}")
    if names and num_classes not in (None, len(names)):
        raise DataError(
            f"num_classes: {num_classes} received, but {origin} has {len(names)} names; "
            "make them agree, or leave num_classes out"
        )
    return names or tuple(f"class {i}" for i in range(num_classes or 0))
