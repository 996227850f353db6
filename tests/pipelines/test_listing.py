import errno
import os
import re

import pytest

from pipelines.schema import DataError
from pipelines.sources import listing, pairing

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
    for name in ("b.PNG", "a.jpg", "c.jpeg", "notes.txt", ".hidden.png", "Thumbs.db", "d/e.tif"):
        write(name, b"x")
    assert list(listing.list_images(tmp_path, LAYOUT)) == ["a", "b", "c", "d/e"]


def test_list_images_missing_folder(tmp_path):
    with raises(f"{tmp_path / 'none'}: no such folder", LAYOUT):
        listing.list_images(tmp_path / "none", LAYOUT)


def test_list_images_folder_is_a_file(write):
    path = write("file", b"x")
    with raises(f"{path}: a file; give the folder that it is in", LAYOUT):
        listing.list_images(path, LAYOUT)


def test_list_images_unreadable_folder(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Taking the permission away for real would not stop root.
    monkeypatch.setattr(os, "scandir", refuse)
    with raises(f"{tmp_path}: cannot be listed (Permission denied); what is wanted", LAYOUT):
        listing.list_images(tmp_path, LAYOUT)


def test_list_images_without_images(write, tmp_path):
    write("notes.txt", b"x")
    with raises(f"{tmp_path}: no images in it (* with .png, .bmp", LAYOUT):
        listing.list_images(tmp_path, LAYOUT)


def test_list_images_duplicate_stems(write, tmp_path):
    write("a.jpg", b"x")
    path = write("a.png", b"x")
    with raises(f"{path}: same stem as a.jpg; rename or remove"):
        listing.list_images(tmp_path, LAYOUT)


def find(root, with_instance=False, **patterns):
    patterns = {"image": "img/*", "label": "label/*"} | patterns
    if with_instance:
        patterns["instance"] = "inst/*"
    return pairing.find_pairs(listing.SourceFiles(root, LAYOUT), **patterns)


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
        f"{tmp_path / 'img'}: 5 files without a counterpart",
        f"in {tmp_path / 'label'}: b0.jpg, b1.jpg, b2.jpg and 2 more; add",
    ):
        find(tmp_path)


def test_find_pairs_label_without_image(write, tmp_path):
    for name in ("img/a.jpg", "label/a.png", "label/c.png"):
        write(name, b"x")
    with raises(f"{tmp_path / 'label'}: 1 file", f"in {tmp_path / 'img'}: c.png; add"):
        find(tmp_path)


def test_find_pairs_image_without_instance(write, tmp_path):
    for name in ("img/a.jpg", "label/a.png", "inst/b.png"):
        write(name, b"x")
    with raises(f"{tmp_path / 'img'}: 1 file", f"in {tmp_path / 'inst'}: a.jpg"):
        find(tmp_path, with_instance=True)


def test_find_pairs_jpeg_mask(write, tmp_path):
    write("img/a.jpg", b"x")
    path = write("label/a.jpg", b"x")
    with raises(f"{path}: JPEG mask", "single-channel"):
        find(tmp_path)


def test_find_pairs_in_folders_in_folders(write, tmp_path):
    for name in ("img/a.jpg", "img/day2/a.jpg", "label/a.png", "label/day2/a.png"):
        write(name, b"x")
    assert [(pair.stem, pair.label) for pair in find(tmp_path)] == [
        ("a", tmp_path / "label" / "a.png"),
        ("day2/a", tmp_path / "label" / "day2" / "a.png"),
    ]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("img/é.jpg", "label/e\u0301.png"),
        ("img/IMG_1.JPG", "label/img_1.png"),
        ("img/my photo.jpg", "label/my  photo .png"),
        ("img/day1/a.jpg", "label/a.png"),
        ("img/a.jpg", "label/day1/a.png"),
        ("img/a.b.jpg", "label/a.b.png"),
    ],
)
def test_find_pairs_of_names_that_are_spelt_otherwise(write, tmp_path, image, label):
    for name in ("img/z.jpg", "label/z.png", image, label):
        write(name, b"x")
    by_label = {pair.label: pair.image for pair in find(tmp_path)}
    assert by_label == {
        tmp_path / "label" / "z.png": tmp_path / "img" / "z.jpg",
        tmp_path / label: tmp_path / image,
    }


@pytest.mark.parametrize(
    "names",
    [
        # Either might be meant.
        ("img/a.jpg", "img/A.jpg", "label/a.PNG", "label/Á.png"),
        ("img/day1/a.jpg", "img/day2/a.jpg", "label/a.png"),
        # Both sides tell days apart.
        ("img/day1/a.jpg", "label/day2/a.png"),
    ],
)
def test_find_pairs_does_not_guess(write, tmp_path, names):
    for name in names:
        write(name, b"x")
    with raises("without a counterpart of the same stem"):
        find(tmp_path)


def test_find_pairs_by_patterns(write, tmp_path):
    for name in ("x/a.jpg", "x/a_mask.png", "x/a_inst.png", "x/b.png", "x/b_mask.png"):
        write(name, b"x")
    write("x/b_inst.npy", b"x")
    patterns = {"image": "x/*", "label": "x/*_mask", "instance": "x/*_inst"}
    found = find(tmp_path, **patterns)
    assert [[path.name for path in pair.paths] for pair in found] == [
        ["a.jpg", "a_mask.png", "a_inst.png"],
        ["b.png", "b_mask.png", "b_inst.npy"],
    ]
    assert [pair.stem for pair in found] == ["a", "b"]
    (tmp_path / "x" / "b_inst.npy").unlink()
    with raises(f"{tmp_path / 'x'}: 1 file without a counterpart of the same stem", "b.png; add"):
        find(tmp_path, **patterns)
    with raises("'x/mask' received; give a path", "with one *"):
        find(tmp_path, label="x/mask")


def test_a_mask_of_an_unread_type_is_named(write, tmp_path):
    for name in ("img/a.jpg", "img/b.jpg", "label/a.png", "label/b.svg"):
        write(name, b"x")
    with raises(
        "b.jpg; ", f"{tmp_path / 'label' / 'b.svg'} lies there, but .svg is not read: conv"
    ):
        find(tmp_path)


def test_litter_is_ignored_and_everything_else_is_left_out_by_name(write, tmp_path):
    for name in ("img/a.jpg", "label/a.png"):
        write(name, b"x")
    for name in (".DS_Store", "img/._a.jpg", "img/Thumbs.db", "__MACOSX/img/a.jpg", "img/@eaDir/a"):
        write(name, b"x")
    for name in ("README", "img/a.json", "other/a.jpg", "img/b.psd", "out/c.png"):
        write(name, b"x")
    files = listing.SourceFiles(tmp_path, LAYOUT)
    used = [
        path
        for pair in pairing.find_pairs(files, image="img/*", label="label/*")
        for path in pair.paths
    ]
    left = files.left_out(used, [tmp_path / "out"])
    assert left == ["README", "img/a.json", "img/b.psd", "other/a.jpg"]
    assert listing.describe_left_out(left) == (
        "4 files are not used (1 without ending, 1 .json, 1 .psd, 1 .jpg): README, img/a.json, "
        "img/b.psd and 1 more"
    )


def test_links_are_followed_but_not_for_ever(write, tmp_path):
    write("elsewhere/a.jpg", b"x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "img").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "root")
    (tmp_path / "elsewhere" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    files = listing.SourceFiles(tmp_path / "root", LAYOUT)
    # What is gone is found out when it is read.
    assert files.names == ["img/a.jpg", "img/gone.jpg"]


def test_names_that_are_not_utf8_are_left_out_by_name(write, tmp_path):
    write("img/a.jpg", b"x")
    path = os.path.join(os.fsencode(tmp_path), b"img", b"h\xfctte.jpg")
    with open(path, "wb"):
        pass
    files = listing.SourceFiles(tmp_path, LAYOUT)
    assert files.names == ["img/a.jpg"]
    assert files.left_out([tmp_path / "img" / "a.jpg"]) == ["img/h\ufffdtte.jpg"]
