"""Data sets with canvases: what they hold, and when they are refused."""

import shutil

import numpy as np
import pytest
from prepared_batches import SIZE

from pipelines.prepare.compose import compose_canvases
from pipelines.prepare.prepare import prepare
from pipelines.reading.attributes import attribute_of
from pipelines.reading.input_pipeline import Training, make_dataset, record_names
from pipelines.reading.prepared import (
    canvases_name,
    label_set,
    open_dataset,
    without_canvases,
)
from pipelines.schema import DataError

BATCHES = {"batch_size": 1, "load_size": SIZE, "crop_size": SIZE, "with_canvas": True}


@pytest.fixture(scope="module")
def data_dir(make_builder, tmp_path_factory):
    """A data set of five training pictures in shards of their own, and its canvases."""
    builder = make_builder(num_train=5, num_val=2, shard_bytes=1)
    root = tmp_path_factory.mktemp("composed")
    shutil.copytree(builder.data_path.parent, root / "paired_folder")
    compose_canvases("paired_folder", data_dir=root, on_progress=lambda *_: None)
    return root


def again(data_dir, **options):
    options = {"data_dir": data_dir, "on_progress": lambda *_: None, **options}
    return compose_canvases("paired_folder", **options)


def batches(builder, split, **options):
    return make_dataset(builder, split, **(BATCHES | options))


def shards(data_dir):
    root = data_dir / "paired_folder_canvases"
    return {path.name: path.read_bytes() for path in sorted(root.rglob("*.tfrecord*"))}


def test_records_are_the_same_in_the_same_order_with_canvases(data_dir):
    plain, composed = (
        open_dataset(name, data_dir) for name in ("paired_folder", "paired_folder_canvases")
    )
    assert label_set(plain) == label_set(composed)
    assert list(plain.info.splits["train"].shard_lengths) == [1] * 5
    for split in ("train", "val"):
        assert plain.info.splits[split].shard_lengths == composed.info.splits[split].shard_lengths
        assert record_names(plain, split, 9) == record_names(composed, split, 9)
        pairs = zip(
            batches(plain, split, with_canvas=False, with_instance=True),
            batches(composed, split, with_instance=True),
            strict=True,
        )
        for one, other in pairs:
            canvas = other.pop("canvas").numpy()
            assert canvas.shape == (1, *SIZE, 4)
            # Every class is in the bank.
            assert canvas[..., 3].mean() > 0.5
            assert one.keys() == other.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], other[key])


def levels(batch):
    """Grey levels of the picture, which tell its number, and those on its canvas."""
    canvas = batch["canvas"].numpy()[0]
    on_canvas = np.rint(canvas[canvas[..., 3] == 1][:, :3] * 255).astype(int)
    image = np.rint(batch["image"].numpy() * 127.5 + 127.5).astype(int)
    return set(image.ravel().tolist()), set(on_canvas.ravel().tolist())


def test_canvases_of_training_pictures_are_of_other_training_pictures(data_dir):
    builder = open_dataset("paired_folder_canvases", data_dir)
    for batch in batches(builder, "train"):
        (own,), others = levels(batch)
        assert others <= set(range(0, 50, 10)) - {own}
    for batch in batches(builder, "val"):
        # Pixel for pixel as a training picture with the same map: the source repeats them.
        own, others = levels(batch)
        assert others == own


def test_augmentation_changes_the_canvas_with_the_maps(data_dir):
    builder = open_dataset("paired_folder_canvases", data_dir)
    options = {"crop_size": (8, 8), "training": Training(seed=0, flip=True)}
    seen = list(batches(builder, "val[:1]", **options).take(8))
    whole = next(iter(batches(builder, "val[:1]")))
    joined = np.concatenate([whole["label"][..., None], whole["canvas"]], -1)[0]
    crops = np.lib.stride_tricks.sliding_window_view(joined, (8, 8), (0, 1))
    crops = np.moveaxis(crops, 2, -1).reshape(-1, 8, 8, 5)
    for batch in seen:
        here = np.concatenate([batch["label"][..., None], batch["canvas"]], -1)[0]
        either = [(crops == each).all((1, 2, 3)).any() for each in (here, here[:, ::-1])]
        assert any(either)


def test_canvases_are_composed_once(data_dir, tmp_path):
    before = shards(data_dir)
    summary = again(data_dir)
    assert summary["already_composed"]
    assert summary["num_examples"] == {"train": 5, "val": 2}
    with pytest.raises(DataError, match=r"composed with another bank_size; pass --overwrite"):
        again(data_dir, bank_size=2)
    shutil.copytree(data_dir / "paired_folder", tmp_path / "paired_folder")
    again(tmp_path)
    assert shards(tmp_path) == before
    again(tmp_path, bank_size=2, overwrite=True)
    assert shards(tmp_path) != before


def test_canvases_of_another_source_are_not_taken_for_these(data_dir, make_source, tmp_path):
    shutil.copytree(data_dir / "paired_folder_canvases", tmp_path / "paired_folder_canvases")
    source = make_source(tmp_path / "source", num_train=4, num_val=2, size=SIZE)
    prepare("paired_folder", source_dir=source, data_dir=tmp_path, num_classes=7)
    with pytest.raises(DataError, match=r"composed with another source; pass --overwrite"):
        again(tmp_path)


def test_an_interrupted_composition_goes_on_where_it_was(data_dir, tmp_path, monkeypatch):
    shutil.copytree(data_dir / "paired_folder", tmp_path / "paired_folder")

    def interrupt(split, done, total):
        if (split, done) == ("train", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(tmp_path, on_progress=interrupt)
    assert not list(tmp_path.glob("paired_folder_canvases/[0-9]*"))
    from pipelines.prepare import compose as module

    composed = []
    compose = module.compose
    monkeypatch.setattr(module, "compose", lambda *a, **k: composed.append(1) or compose(*a, **k))
    again(tmp_path)
    # Three shards of the seven were finished.
    assert len(composed) == 4
    assert shards(tmp_path) == shards(data_dir)
    assert not list(tmp_path.glob("paired_folder_canvases/.*"))


def test_what_cannot_be_composed_is_refused(data_dir, tmp_path):
    with pytest.raises(DataError, match=r"no paired_folder prepared in .*command prepare"):
        again(tmp_path)
    with pytest.raises(DataError, match="has canvases already; give the one without"):
        compose_canvases("paired_folder_canvases", data_dir=data_dir)
    with pytest.raises(DataError, match="bank_size: 0 received; give 1 or more"):
        again(data_dir, bank_size=0)
    builder = open_dataset("paired_folder", data_dir)
    with pytest.raises(DataError, match=r"paired_folder/1\.0\.0 has no canvases; compose them"):
        batches(builder, "val")


def test_a_data_set_without_canvases_names_the_command(tmp_path):
    with pytest.raises(DataError, match=r"command compose --dataset=landscapes/64x64 --data_dir="):
        open_dataset("landscapes_canvases/64x64", tmp_path)


def test_names_go_both_ways():
    for name in ("landscapes/64x64", "cityscapes"):
        assert without_canvases(name) == without_canvases(canvases_name(name)) == name
    assert canvases_name("landscapes/64x64") == "landscapes_canvases/64x64"
    assert attribute_of("landscapes_canvases/64x64") == attribute_of("landscapes/64x64")
