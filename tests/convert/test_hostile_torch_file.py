"""PyTorch's checkpoint files that are hostile, damaged or of another kind get one clear line."""

import contextlib
import os
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest
from torch_opcodes import (
    BYTES,
    SIX,
    assert_same,
    global_,
    refused,
    state_dict,
    storage,
    tensor,
    value,
    write_legacy,
    write_zip,
)

from spade_tf.convert.torch_file import LEGACY_SIGNATURE, TorchFileError, read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pth"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (pickle.dumps({"epoch": 3}, protocol=2), "holds a int under 'epoch'.*state_dict"),
        (pickle.dumps({1: 3}, protocol=2), "holds a int under a number"),
        (pickle.dumps([1], protocol=2), r"holds a list; save model.state_dict\(\)"),
        (state_dict(x=storage()), "holds a Storage under 'x'"),
    ],
)
def test_other_contents_are_named(path, content, match):
    refused(write_zip(path, content, BYTES), match)


@pytest.fixture
def command(tmp_path):
    """A call of os.system, as opcodes."""
    marker = tmp_path / "ran"
    call = global_(os.system.__module__, "system") + b"(" + value(f"touch {marker}") + b"tR"
    pickle.loads(b"\x80\x02" + call + b".")
    marker.unlink()  # It was made: Python's own unpickler does run the command.
    yield call
    assert not marker.exists()


def test_a_command_is_refused_by_name_and_does_not_run(path, command):
    refused(write_zip(path, state_dict(x=command)), rf"{os.system.__module__}\.system")


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_command_in_any_pickle_of_the_legacy_format_does_not_run(path, command, position):
    empty = pickle.dumps({}, protocol=2)
    parts = [b"\x80\x02M\xe9\x03.", empty, empty, empty]
    parts[position] = b"\x80\x02" + command + b"."
    path.write_bytes(LEGACY_SIGNATURE + b"".join(parts))
    refused(path, rf"{os.system.__module__}\.system")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("collections", "namedtuple"),
    ],
)
def test_any_other_global_is_refused_by_name(path, module, name):
    refused(write_zip(path, state_dict(x=global_(module, name) + b")R")), rf"{module}\.{name}'")


def test_a_storage_cannot_be_built_directly(path):
    call = global_("torch", "FloatStorage") + value((10**12,)) + b"R"
    refused(write_zip(path, state_dict(x=call)), "builds a storage outside a tensor")


@pytest.mark.parametrize(
    "persistent_id",
    [
        value("0"),
        value(("storage", "FloatStorage", "0", "cpu", 6)),
        b"("
        + value("storage")
        + global_("torch", "FloatStorage")
        + value("0")
        + value("cpu")
        + b"t",
        b"(" + value("module") + global_("torch", "FloatStorage") + b"X\1\0\0\0" + b"0NK\x06t",
        b"(" + value("storage") + global_("collections", "OrderedDict") + b"X\1\0\0\0" + b"0NK\6t",
        b"(" + value("storage") + global_("torch", "FloatStorage") + b"K\0NK\6t",
        b"("
        + value("storage")
        + global_("torch", "FloatStorage")
        + b"X\1\0\0\0"
        + b"0NJ\xff\xff\xff\xfft",
    ],
)
def test_hostile_persistent_ids(path, persistent_id):
    data = state_dict(x=tensor(persistent_id + b"Q"))
    refused(write_zip(path, data, BYTES), "persistent id that describes no storage|damaged")


@pytest.mark.parametrize("view", ["v", ("v", 0), ("v", -1, 2), ("v", 0, "2"), ("v", 5, 2)])
def test_hostile_views(path, view):
    data = state_dict(x=tensor(storage(view=view, legacy=True), 0, (1,), (1,)))
    refused(write_legacy(path, data, {"0": SIX}), "no storage|past the end")


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (2, 3), (3, 1)),
        (0, (7,), (1,)),
        (0, (2,), (6,)),
        (6, (), ()),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 3), (1,)),
        (0, (10**12,), (0,)),
        (0, (2.0,), (1,)),
        (True, (2,), (1,)),
        (0, (10**9999,), (0,)),
        (0, (1,) * 33, (1,) * 33),
    ],
)
def test_tensors_outside_their_storage_are_refused(path, offset, size, stride):
    data = state_dict(x=tensor(storage(), offset, size, stride))
    refused(write_zip(path, data, BYTES), "describes a tensor")


@pytest.mark.parametrize("numel", [7, 10**13, 2**62, pytest.param(10**9999, id="huge")])
@pytest.mark.parametrize("legacy", [False, True])
def test_more_numbers_than_the_file_has_are_refused(path, legacy, numel):
    data = state_dict(x=tensor(storage(numel=numel, legacy=legacy)))
    if legacy:
        write_legacy(path, data, {"0": SIX})
        refused(path, "another size|persistent id")
        if numel < 2**62:
            raw = path.read_bytes()
            path.write_bytes(raw[: -24 - 8] + struct.pack("<q", numel) + raw[-24:])
            refused(path, "ends inside storage '0': 24 of")
    else:
        refused(write_zip(path, data, BYTES), "24 bytes for storage '0'|persistent id")


def test_a_storage_described_twice_differently_is_refused(path):
    data = state_dict(a=tensor(storage()), b=tensor(storage(kind="DoubleStorage")))
    refused(write_zip(path, data, BYTES), "in two different ways")


def test_names_outside_the_archive_reach_no_file(tmp_path, path):
    secret = tmp_path / "secret"
    secret.write_bytes(SIX.tobytes())
    for key in ("../../secret", str(secret)):
        data = state_dict(x=tensor(storage(key)))
        refused(write_zip(path, data, BYTES), "no record .*secret")
    # An entry that calls itself so is only an entry: nothing is extracted.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../data.pkl", state_dict(x=tensor(storage("../../evil"))))
        archive.writestr("../data/../../evil", SIX.tobytes())
    assert_same(read_state_dict(path), {"x": SIX.reshape(2, 3)})
    assert sorted(os.listdir(tmp_path)) == ["net.pth", "secret"]


def test_a_zip_bomb_is_refused(path):
    data = state_dict(x=tensor(storage(numel=10**7), 0, (10**7,), (1,)))
    zeros = {"data/0": bytes(4 * 10**7)}
    refused(write_zip(path, data, zeros, compression=zipfile.ZIP_DEFLATED), "compressed records")


def test_records_that_overlap_are_refused(path):
    # Many entries over the same bytes would make a small file read as a large one.
    records = {f"data/{index}": SIX.tobytes() for index in range(9)}
    data = state_dict(**{f"x{index}": tensor(storage(str(index))) for index in range(9)})
    raw = bytearray(write_zip(path, data, records).read_bytes())
    big = len(raw) - 200
    for entry in re.finditer(b"PK\x01\x02", bytes(raw)):
        struct.pack_into("<II", raw, entry.start() + 20, big, big)
    path.write_bytes(raw)
    refused(path, "more bytes than it has")


def test_corrupt_bytes_are_noticed_in_the_zip_format(path):
    write_zip(path, state_dict(x=tensor(storage())), BYTES)
    raw = bytearray(path.read_bytes())
    raw[raw.index(SIX.tobytes()) + 5] ^= 1
    path.write_bytes(raw)
    refused(path, "CRC")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "neither zip nor legacy"),
        (b"not a checkpoint", "neither zip nor legacy"),
        (pickle.dumps({}, protocol=2), "neither zip nor legacy"),
        (LEGACY_SIGNATURE[:9] + b"\x00" + LEGACY_SIGNATURE[10:], "neither zip nor legacy"),
        (LEGACY_SIGNATURE, "pickle"),
        (LEGACY_SIGNATURE + b"\x80\x02M\xea\x03.", "protocol other than 1001"),
    ],
)
def test_other_files(path, content, match):
    path.write_bytes(content)
    refused(path, match)


def test_missing_files_folders_and_other_archives(tmp_path):
    refused(tmp_path / "none.pth", "No such file or directory")
    with pytest.raises(TorchFileError, match="No such file or directory"):
        write_state_dict(tmp_path / "none" / "net.pth", {})
    refused(tmp_path, "Is a directory")
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("word/document.xml", b"")
    refused(tmp_path / "letter.docx", "none that PyTorch wrote")


@pytest.mark.parametrize("legacy", [False, True])
def test_every_truncation_is_one_clear_line(path, legacy):
    write_state_dict(path, {"a": SIX, "b": np.ones((2, 2))}, legacy=legacy)
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if legacy else 7):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_damage_never_ends_in_another_error(path, legacy):
    write_state_dict(path, {"a": SIX, "b": np.ones((2, 2))}, legacy=legacy)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(1500):
        raw = bytearray(whole)
        for position in generator.integers(0, len(raw), 2):
            raw[position] = generator.integers(256)
        path.write_bytes(raw)
        # Damage inside the numbers of a legacy file cannot be seen; any other error fails here.
        with contextlib.suppress(TorchFileError):
            read_state_dict(path)
