"""TFDS builder for photographs without labels, labelled by a network as they are prepared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from pipelines import schema
from pipelines.schema import ArgumentError, LabelSet
from pipelines.sources import inspection, label_sets, pictures
from pipelines.sources.builders.base import Example
from pipelines.sources.builders.files import FilesBuilder, SplitSkips, source_folder
from pipelines.sources.folders import FOLDERS
from pipelines.sources.listing import SourceFiles
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette
from pipelines.sources.segmenter import Segmenter

WANTED = FOLDERS["flickr_landscapes"]


class SegmentingReader(NamedTuple):
    """Reads a photograph and labels it.

    Attributes:
        label_set: what the network tells apart.
        segmenter: the network.
        network_stamp: size and time of its file, so that another one is not taken for it.
    """

    label_set: LabelSet
    segmenter: Segmenter
    network_stamp: str

    def __call__(self, pair: Pair) -> Example:
        """Reads and labels an example.

        Raises:
            BadFileError: if the photograph cannot be used.
        """
        image = pictures.read_image(pair.image)
        label = self.segmenter(inspection.decode_image(image.encoded), pair.image)
        encoded = inspection.encode_ids(label, self.label_set.num_ids)
        return Example(pair.stem, {"image": image.encoded, "label": encoded, "name": pair.stem})


class FlickrLandscapes(FilesBuilder):
    """Flickr Landscapes: photographs of landscapes, labelled by a segmentation network.

    The paper has 41,000 training and 1,000 validation pictures, which were not released, labelled
    by DeepLabV2 with the 182 classes of COCO-Stuff; any folder of photographs and any network
    with a list of its classes will do. The paper resizes to 286x286 and crops to 256x256. There is
    no unknown id and no instance map.

    Args:
        source_dir: the folder that holds `train_img/` and, optionally, `val_img/`.
        data_dir: the folder of prepared data sets.
        segmenter: the network: a SavedModel folder, a `.keras` file or a `.tflite` file; see
            `pipelines.sources.segmenter.Segmenter` for what it takes and returns.
        segmenter_scale: what pixels, 0..255, are multiplied by for the network. Default 1.
        segmenter_offset: what is added after that. Default 0.
        class_names: what the network tells apart, id 0 first. Default: the lines of
            `classes.txt` in `source_dir` if there is one, else the classes of COCO-Stuff.
        palette: must be None: the network gives ids.
        off_palette_unknown: must be False.
        skip_bad_files: whether bad files are left out and listed.

    Attributes:
        label_set: what the network tells apart.
        num_examples: number of pictures by split.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if folders or files are missing, or no network is given.

    Reference: Park et al. 2019, section 4.
    """

    # The network uses all cores.
    reads_apart = False
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        segmenter: str | os.PathLike[str] | None = None,
        segmenter_scale: float = 1.0,
        segmenter_offset: float = 0.0,
        class_names: Sequence[str] | None = None,
        palette: Palette | None = None,
        off_palette_unknown: bool = False,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        if palette is not None or off_palette_unknown:
            raise ArgumentError(
                "palette", "received, but flickr_landscapes has no label maps to read; leave it out"
            )
        network = _network_path(segmenter)
        self.skipped = SplitSkips()
        source = source_folder(source_dir, WANTED)
        files = SourceFiles(source, WANTED)
        names = tuple(class_names) if class_names else ()
        if not names and (source / "classes.txt").is_file():
            names = inspection.read_class_names(source / "classes.txt")
        label_set = LabelSet(
            class_names=names or label_sets.COCO_STUFF.class_names,
            palette=schema.default_palette(
                len(names) or label_sets.COCO_STUFF.num_classes, has_unknown=False
            ),
            has_unknown=False,
            has_instance=False,
        )
        pairs = {
            split: [
                Pair(stem, path, None)
                for stem, path in files.list(
                    f"{split}_img/*", on_bad_file=self.skipped.of(split, skip_bad_files)
                ).items()
            ]
            for split in ("train", "val")
            if split == "train" or (source / "val_img").exists()
        }
        stat = network.stat()
        reader = SegmentingReader(
            label_set,
            Segmenter(network, label_set.num_classes, segmenter_scale, segmenter_offset),
            f"{stat.st_size} {stat.st_mtime_ns}",
        )
        super().__init__(
            pairs=pairs,
            pair_reader=reader,
            description="Photographs labelled by a segmentation network.",
            data_dir=data_dir,
            source_files=files,
            **kwargs,
        )


def _network_path(segmenter: str | os.PathLike[str] | None) -> Path:
    if segmenter is None:
        raise ArgumentError(
            "segmenter",
            "not given; flickr_landscapes is labelled by a network, pass "
            "--segmenter=FILE (a SavedModel folder, .keras or .tflite)",
        )
    path = Path(segmenter).expanduser()
    if not path.exists():
        raise ArgumentError(
            "segmenter", f"no file {path}; give a SavedModel folder, .keras or .tflite"
        )
    return path
