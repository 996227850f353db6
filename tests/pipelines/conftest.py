from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prepared_batches import SIZE

from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset

COCO_STUFF_SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "coco_stuff_sample"


@pytest.fixture
def coco_stuff_sample():
    if not COCO_STUFF_SAMPLE.is_dir():
        pytest.skip("the sample of COCO-Stuff pairs is not beside the repository")
    return COCO_STUFF_SAMPLE


@pytest.fixture(scope="session")
def make_source():
    """Writes a source folder whose example `i` has the grey level `10 * i` and ids that tell it."""

    def make(root, num_train=5, num_val=0, with_instance=True, size=(12, 16), num_classes=7):
        for split, count in (("train", num_train), ("val", num_val)):
            for i in range(count):
                rng = np.random.default_rng(i)
                label = rng.integers(0, num_classes, size).astype(np.uint8)
                label[0, 0] = 255
                maps = {
                    "img": np.full((*size, 3), 10 * i, np.uint8),
                    "label": label,
                    "inst": rng.integers(0, 65536, size).astype(np.uint16),
                }
                if not with_instance:
                    del maps["inst"]
                for kind, array in maps.items():
                    directory = root / f"{split}_{kind}"
                    directory.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(directory / f"{i:03d}.png")
        return root

    return make


@pytest.fixture(scope="session")
def make_builder(tmp_path_factory, make_source):
    """Prepares a source folder of `make_source`, and opens it."""

    def make(shard_bytes=1 << 26, **kwargs):
        root = tmp_path_factory.mktemp("prepared")
        source = make_source(root / "source", size=SIZE, **kwargs)
        options = {"num_classes": 7, "shard_bytes": shard_bytes}
        prepare("paired_folder", source_dir=source, data_dir=root / "data", **options)
        return open_dataset("paired_folder", root / "data")

    return make


@pytest.fixture(scope="session")
def builder(make_builder):
    """A data set of 13 examples, in batches of 3 which end no epoch but every third, and 5 more."""
    return make_builder(num_train=13, num_val=5)
