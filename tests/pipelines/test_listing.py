import errno
import os
import re
from pathlib import Path

import pytest

from pipelines import listing
from pipelines.schema import DataError

LAYOUT = "the_layout/"


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_list_images_is_sorted_and_takes_only_images(write, tmp_path):
    for name in ("b.PNG", "a.jpg", "c.jpeg", "notes.txt", ".hidden.png", "Thumbs.db"):
        write(name, b"x")
    assert list(listing.list_images(tmp_path, LAYOUT)) == ["a", "b", "c"]


def test_list_images_missing_folder(tmp_path):
    with raises(f"{tmp_path / 'none'}: no such folder", LAYOUT):
        listing.list_images(tmp_path / "none", LAYOUT)


def test_list_images_folder_is_a_file(write):
    path = write("file", b"x")
    with raises(f"{path}: cannot be listed", LAYOUT):
        listing.list_images(path, LAYOUT)


def test_list_images_unreadable_folder(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Taking the permission away for real would not stop root.
    monkeypatch.setattr(Path, "iterdir", refuse)
    with raises(f"{tmp_path}: cannot be listed (Permission denied); the layout wanted", LAYOUT):
        listing.list_images(tmp_path, LAYOUT)


def test_list_images_without_images(write, tmp_path):
    write("notes.txt", b"x")
    with raises(f"{tmp_path}: no images in it (.png, .jpg, .jpeg)", LAYOUT):
        listing.list_images(tmp_path, LAYOUT)


def test_list_images_duplicate_stems(write, tmp_path):
    write("a.jpg", b"x")
    path = write("a.png", b"x")
    with raises(f"{path}: same stem as a.jpg; rename or remove"):
        listing.list_images(tmp_path, LAYOUT)


def test_list_images_other_format(write, tmp_path):
    path = write("a.webp", b"x")
    with raises(f"{path}: .webp files are not read; convert it"):
        listing.list_images(tmp_path, LAYOUT)


def find(root, with_instance=False):
    return listing.find_pairs(
        root / "img", root / "label", root / "inst" if with_instance else None, LAYOUT
    )


def test_find_pairs(write, tmp_path):
    for name in ("img/b.png", "img/a.jpg", "label/a.png", "label/b.png"):
        write(name, b"x")
    assert [(p.stem, p.image.name, p.label.name, p.instance) for p in find(tmp_path)] == [
        ("a", "a.jpg", "a.png", None),
        ("b", "b.png", "b.png", None),
    ]
    for name in ("inst/a.png", "inst/b.png"):
        write(name, b"x")
    assert find(tmp_path, with_instance=True)[1].instance == tmp_path / "inst" / "b.png"


def test_find_pairs_image_without_label(write, tmp_path):
    for name in ("img/a.jpg", *(f"img/b{i}.jpg" for i in range(5)), "label/a.png"):
        write(name, b"x")
    with raises(
        f"{tmp_path / 'img'}: 5 of 6 files have no counterpart",
        f"in {tmp_path / 'label'}: b0.jpg, b1.jpg, b2.jpg and 2 more; add",
    ):
        find(tmp_path)


def test_find_pairs_label_without_image(write, tmp_path):
    for name in ("img/a.jpg", "label/a.png", "label/c.png"):
        write(name, b"x")
    with raises(f"{tmp_path / 'label'}: 1 of 2 files", f"in {tmp_path / 'img'}: c.png; add"):
        find(tmp_path)


def test_find_pairs_image_without_instance(write, tmp_path):
    for name in ("img/a.jpg", "label/a.png", "inst/b.png"):
        write(name, b"x")
    with raises(f"{tmp_path / 'img'}: 1 of 1 files", f"in {tmp_path / 'inst'}: a.jpg"):
        find(tmp_path, with_instance=True)


def test_find_pairs_jpeg_mask(write, tmp_path):
    write("img/a.jpg", b"x")
    path = write("label/a.jpg", b"x")
    with raises(f"{path}: JPEG mask", "single-channel"):
        find(tmp_path)
