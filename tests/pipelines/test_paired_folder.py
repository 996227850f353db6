import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pipelines.schema import DataError
from pipelines.sources.builders.paired_folder import PairedFolder


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


@pytest.fixture
def source(tmp_path, make_source):
    return make_source(tmp_path / "source", num_train=3, num_val=2)


def build(source, **kwargs):
    return PairedFolder(
        source_dir=source, data_dir=source / "data", **({"num_classes": 7} | kwargs)
    )


def test_label_set_and_counts(source):
    builder = build(source)
    assert builder.num_examples == {"train": 3, "val": 2}
    assert builder.label_set.num_classes == 7
    assert builder.label_set.class_names[:2] == ("class 0", "class 1")
    assert builder.label_set.has_unknown
    assert builder.label_set.has_instance
    assert builder.info.full_name == "paired_folder/1.0.0"


def test_val_and_instance_are_optional(source):
    for name in ("val_img", "val_label", "val_inst", "train_inst"):
        shutil.rmtree(source / name)
    builder = build(source)
    assert builder.num_examples == {"train": 3}
    assert not builder.label_set.has_instance
    assert "instance" not in builder.info.features


def test_missing_source_dir(tmp_path):
    with raises(f"source_dir: no folder {tmp_path / 'none'}; what is wanted: {{train,val}}_"):
        build(tmp_path / "none")


@pytest.mark.parametrize("name", ["train_img", "train_label", "val_img", "val_label", "val_inst"])
def test_missing_folder(source, name):
    shutil.rmtree(source / name)
    with raises(f"{source / name}: no such folder; what is wanted: {{train,val}}_"):
        build(source)


def test_label_without_image(source):
    (source / "val_img" / "001.png").unlink()
    with raises(f"{source / 'val_label'}: 1 file without", "001.png"):
        build(source)


def test_class_names(source):
    assert build(source, num_classes=None, class_names="abcdefg").label_set.class_names == tuple(
        "abcdefg"
    )
    (source / "classes.txt").write_text("\n".join("tuvwxyz"))
    assert build(source, num_classes=None).label_set.class_names == tuple("tuvwxyz")
    assert build(source, class_names="abcdefg").label_set.class_names == tuple("abcdefg")


def test_classes_not_given(source):
    for i in range(3):
        label = np.full((12, 16), 255, np.uint8)
        label[0] = 10 + i
        Image.fromarray(label).save(source / "train_label" / f"{i:03d}.png")
    with raises(
        f"num_classes: not given, and no {source / 'classes.txt'}; the largest id found in 5 "
        "label maps is 12 (255 left out), so pass --num_classes=13, or more if"
    ):
        build(source, num_classes=None)


def test_num_classes_disagrees_with_names(source):
    (source / "classes.txt").write_text("sky\ngrass\n")
    with raises(f"num_classes: 7 received, but {source / 'classes.txt'} has 2 names"):
        build(source)
    with raises("num_classes: 7 received, but class_names has 3 names"):
        build(source, class_names="abc")


@pytest.mark.parametrize("num_classes", [0, -1, 65536])
def test_num_classes_out_of_range(source, num_classes):
    with raises(f"num_classes: {num_classes} received; give 1 to 65535"):
        build(source, num_classes=num_classes)
