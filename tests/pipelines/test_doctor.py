import io
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.doctor.charts import Sample, contact_sheet, histogram
from pipelines.doctor.diagnosis import ERROR, WARNING, print_diagnosis
from pipelines.doctor.doctor import diagnose
from pipelines.doctor.examination import blended_share
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset, read_skipped
from pipelines.schema import DataError

SIZE = (12, 16)


@pytest.fixture
def source(tmp_path, make_source):
    return make_source(tmp_path / "source", num_train=6, num_val=2)


def kinds(diagnosis, severity=ERROR):
    found = [finding for finding in diagnosis.findings if finding.severity == severity]
    return {finding.kind: finding.num for finding in found}


def save(array, path):
    Image.fromarray(array).save(path)


def report(diagnosis):
    text = io.StringIO()
    print_diagnosis(diagnosis, text)
    return text.getvalue()


def test_a_good_source(source, tmp_path):
    diagnosis = diagnose("paired_folder", source, num_classes=7, output_dir=tmp_path / "out")
    assert diagnosis.findings == ()
    assert diagnosis.exit_status == 0
    assert diagnosis.num_examples == {"train": 6, "val": 2}
    labels = [np.asarray(Image.open(path)) for path in source.glob("*_label/*")]
    expected = sum(np.bincount(np.where(x == 255, 7, x).ravel(), minlength=8) for x in labels)
    assert diagnosis.pixels == tuple(expected)
    assert diagnosis.images[7] == 8
    assert diagnosis.sizes == (SIZE, SIZE)
    assert "nothing is wrong" in report(diagnosis)
    assert f"{100 * expected[7] / expected.sum():.2f} %" in report(diagnosis)
    for path, least in ((diagnosis.histogram, (600, 200)), (diagnosis.contact_sheet, (600, 500))):
        with Image.open(path) as image:
            assert image.width >= least[0]
            assert image.height >= least[1]
    assert not list((tmp_path / "out").glob(".*"))


def test_the_chart_names_what_is_never_used(monkeypatch):
    texts = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda self, xy, text, *args, **kwargs: texts.append(text)
    )
    histogram("maps", ("sky", "sea", "unknown"), (0.5, 0.5, 0.0), [(0, 0, 0)] * 3)
    assert texts[-1] == "never used: unknown"
    histogram("maps", ("sky", "unknown"), (0.5, 0.5), [(0, 0, 0)] * 2)
    assert not texts[-1].startswith("never")


def test_the_sheet_names_every_class_of_a_picture(monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, xy, text, *args, **kwargs: drawn.update({text: xy}),
    )
    names = [f"class number {index}" for index in range(40)]
    label = np.arange(1600).reshape(40, 40) // 40 % 39
    sample = Sample("photograph", np.zeros((40, 40, 3), "uint8"), label)
    sheet = contact_sheet([sample], names, [(0, 0, 0)] * 40)
    assert set(drawn) == {"photograph", *names[:39]}
    for name, (x, y) in drawn.items():
        assert 0 <= x < sheet.width - 50, name
        assert 320 < y < sheet.height, name


def test_the_chart_is_drawn_in_the_colours_of_the_classes(source, tmp_path):
    diagnosis = diagnose("paired_folder", source, num_classes=7, output_dir=tmp_path)
    chart = np.asarray(Image.open(diagnosis.histogram))
    colors = {tuple(color) for color in chart.reshape(-1, 3)}
    # The VOC colours of classes 0 to 6, and black for unknown.
    assert {(128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (0, 0, 0)} <= colors


def test_every_kind_of_bad_file(source):
    save(np.zeros((5, 5), np.uint8), source / "train_label" / "000.png")
    save(np.full(SIZE, 9, np.uint8), source / "train_label" / "001.png")
    save(np.full((*SIZE, 3), (1, 2, 3), np.uint8), source / "train_label" / "002.png")
    (source / "train_img" / "003.png").write_bytes(b"")
    (source / "train_inst" / "004.png").unlink()
    save(np.zeros((*SIZE, 3), np.uint8), source / "val_img" / "000.webp")
    (source / "val_label" / "000.svg").write_bytes(b"x")
    diagnosis = diagnose("paired_folder", source, num_classes=7)
    assert kinds(diagnosis) == {
        "size mismatch": 1,
        "id out of range": 1,
        "colour mask": 1,
        "empty file": 1,
        "unpaired": 1,
        "duplicate stem": 1,
    }
    assert diagnosis.exit_status == 1
    for finding in diagnosis.findings:
        assert finding.remedy
    text = report(diagnosis)
    # With those whose counterpart is bad.
    assert ", 1 .svg): " in text
    assert "error: id out of range: 1 file:" in text
    assert (
        "  → correct the file, or, if they are classes, name 10 in classes.txt, or pass "
        "--num_classes=10 without names"
    ) in text


def test_one_pair_may_have_several_faults(source):
    save(np.full((5, 5), 9, np.uint8), source / "train_label" / "000.png")
    (source / "train_img" / "000.png").write_bytes(b"x")
    (source / "train_inst" / "000.png").write_bytes(b"")
    diagnosis = diagnose("paired_folder", source, num_classes=7)
    assert kinds(diagnosis) == {"truncated": 1, "id out of range": 1, "empty file": 1}


def smooth_map(seed):
    """A map of a few large areas."""
    rng = np.random.default_rng(seed)
    areas = np.kron(rng.integers(0, 7, (6, 8)), np.ones((16, 16))).astype(np.uint8)
    # JPEG keeps borders that lie on its own grid of 8 by 8.
    return np.roll(areas, (3, 3), (0, 1))


def test_masks_that_were_averaged(tmp_path):
    for i in range(4):
        for kind in ("img", "label"):
            (tmp_path / f"train_{kind}").mkdir(exist_ok=True)
        ids = Image.fromarray(smooth_map(i) * 20)
        if i == 1:
            ids = ids.resize((128, 96), Image.Resampling.NEAREST)
            ids = ids.resize((64, 48), Image.Resampling.BILINEAR)
            ids = ids.resize((128, 96), Image.Resampling.BILINEAR)
        if i == 2:
            buffer = io.BytesIO()
            ids.save(buffer, "JPEG", quality=80)
            ids = Image.open(buffer)
        ids.save(tmp_path / "train_label" / f"{i}.png")
        save(np.zeros((96, 128, 3), np.uint8), tmp_path / "train_img" / f"{i}.png")
    diagnosis = diagnose("paired_folder", tmp_path, num_classes=150)
    assert kinds(diagnosis) == {"blended ids": 2}
    assert "1.png" in diagnosis.findings[0].message
    assert "2.png" in diagnosis.findings[0].message


def test_blended_share():
    ids = np.array([[0, 0, 4, 4, 4], [0, 2, 4, 4, 4], [5, 1, 5, 1, 5]])
    # Between first and last column, 7 pixels differ from a neighbour and one lies between.
    assert blended_share(ids) == (1 / 7, 7)
    assert blended_share(np.zeros((4, 4), int)) == (0.0, 0)


def test_real_masks_are_clean(coco_stuff_sample):
    diagnosis = diagnose("coco_stuff", coco_stuff_sample, max_files=5)
    assert diagnosis.exit_status == 0
    assert diagnosis.num_examined == 5
    assert kinds(diagnosis, WARNING)["unused ids"] > 100


def test_warnings(source):
    for path in source.glob("*_inst/*"):
        save(np.ones(SIZE, np.uint16), path)
    for path in source.glob("*_label/*"):
        label = np.full(SIZE, 255, np.uint8)
        label[0, :6] = range(6)
        save(label, path)
    diagnosis = diagnose("paired_folder", source, num_classes=7)
    assert kinds(diagnosis) == {}
    assert kinds(diagnosis, WARNING) == {
        "unused ids": 1,
        "mostly unknown": 1,
        "flat instance maps": 8,
    }
    assert diagnosis.exit_status == 0
    assert "3 warnings; training will run" in report(diagnosis)


def test_a_source_of_another_layout(tmp_path, source):
    for given, said in ((tmp_path / "none", "source_dir: no folder"), (source, "num_classes:")):
        diagnosis = diagnose("paired_folder", given)
        assert kinds(diagnosis) == {"folders": 1}
        assert diagnosis.exit_status == 1
        assert diagnosis.findings[0].message.startswith(f"--{said}")
    assert "pass --num_classes=7" in report(diagnosis)


@pytest.mark.parametrize(
    ("dataset", "kwargs", "said"),
    [
        ("landscapes", {}, "which is drawn"),
        ("paired_folder", {"max_files": 0}, "max_files: 0 received"),
        ("paired_folder", {"palette": "none"}, "palette: none is neither one of ade20k"),
    ],
)
def test_bad_arguments(source, dataset, kwargs, said):
    with pytest.raises(DataError, match=said):
        diagnose(dataset, source, **kwargs)


def test_output_dir_cannot_be_written(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"output_dir: \S+ cannot be written"):
        diagnose("paired_folder", source, num_classes=7, output_dir=tmp_path / "file")


BAD_KINDS = {
    "unpaired": 4,
    "JPEG mask": 6,
    "size mismatch": 5,
    "id out of range": 7,
    "colour mask": 3,
    "truncated": 8,
    "empty file": 4,
}


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """500 photographs and 500 label maps, of which 37 are bad in seven ways."""
    root = tmp_path_factory.mktemp("thousand")
    rng = np.random.default_rng(0)
    for kind in ("img", "label"):
        (root / f"train_{kind}").mkdir()
    for i in range(500):
        save(rng.integers(0, 256, (4, 4, 3)).astype(np.uint8), root / "train_img" / f"{i:04d}.png")
        save(rng.integers(0, 5, (4, 4)).astype(np.uint8), root / "train_label" / f"{i:04d}.png")
    chosen = rng.permutation(500)[: sum(BAD_KINDS.values())]
    bad = {}
    stems = iter(f"{i:04d}" for i in chosen)
    for kind, count in BAD_KINDS.items():
        for number in range(count):
            stem = next(stems)
            image, label = root / "train_img" / f"{stem}.png", root / "train_label" / f"{stem}.png"
            # Photographs can be bad in these ways as well as label maps.
            path = image if kind in ("truncated", "empty file") and number % 2 else label
            if kind == "unpaired":
                path = image.with_name(f"{stem}-copy.png")
                image.rename(path)
                bad[str(path)] = kind
                path = label
            elif kind == "JPEG mask":
                buffer = io.BytesIO()
                Image.open(label).save(buffer, "JPEG")
                label.write_bytes(buffer.getvalue())
            elif kind == "size mismatch":
                save(np.zeros((4, 5), np.uint8), label)
            elif kind == "id out of range":
                save(np.full((4, 4), 77, np.uint8), label)
            elif kind == "colour mask":
                save(np.full((4, 4, 3), (1, 2, 3), np.uint8), label)
            elif kind == "truncated":
                path.write_bytes(path.read_bytes()[:50])
            else:
                path.write_bytes(b"")
            bad[str(path)] = kind
    return root, bad


def test_bad_files_among_a_thousand_are_reported_exactly(thousand, tmp_path):
    root, bad = thousand
    # A photograph that was renamed leaves two files without counterpart.
    expected = BAD_KINDS | {"unpaired": 8}
    summary = prepare(
        "paired_folder",
        source_dir=root,
        data_dir=tmp_path,
        num_classes=5,
        on_bad_file="skip",
        on_progress=lambda *_: None,
    )
    assert summary["num_examples"] == {"train": 500 - sum(BAD_KINDS.values())}
    assert summary["skipped"] == expected
    listed = read_skipped(open_dataset("paired_folder", tmp_path).data_path)
    assert {entry["file"]: entry["kind"] for entry in listed} == bad
    assert len(listed) == len(bad)

    diagnosis = diagnose("paired_folder", root, num_classes=5)
    assert kinds(diagnosis) == expected
    for finding in diagnosis.findings:
        for name in re.findall(
            r"\S+/(?:\d{4}(?:-copy)?)\.png", finding.message.split(". First")[0]
        ):
            assert bad[name.rstrip(",")] == finding.kind
