"""The hostile and the odd files here are written opcode by opcode, not by the module under test."""

import contextlib
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spade_tf.convert.torch_file import LEGACY_SIGNATURE, TorchFileError, read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "nvlabs"
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?"]


def global_(module, name):
    return f"c{module}\n{name}\n".encode()


def value(x):
    return pickle.dumps(x, protocol=2)[2:-1]


def storage(key="0", numel=6, kind="FloatStorage", view=None, *, legacy=False):
    tail = value(view) if legacy else b""
    described = value("storage") + global_("torch", kind) + value(key) + value("cpu") + value(numel)
    return b"(" + described + tail + b"tQ"


def tensor(stored, offset=0, size=(2, 3), stride=(3, 1), function="_rebuild_tensor_v2"):
    tail = b"" if function == "_rebuild_tensor" else b"\x89" + global_("collections", "OrderedDict")
    if tail:
        tail += b")R"
    arguments = stored + value(offset) + value(size) + value(stride) + tail
    return global_("torch._utils", function) + b"(" + arguments + b"tR"


def state_dict(**tensors):
    items = b"".join(value(name) + data for name, data in tensors.items())
    return b"\x80\x02}(" + items + b"u."


def write_zip(path, content, records=None, folder="any", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", content)
        for name, data in (records or {}).items():
            archive.writestr(f"{folder}/{name}", data)
    return path


def write_legacy(path, content, storages):
    with open(path, "wb") as file:
        file.write(LEGACY_SIGNATURE + b"\x80\x02M\xe9\x03.")
        file.write(pickle.dumps({"little_endian": True}, protocol=2))
        file.write(content)
        file.write(pickle.dumps(list(storages), protocol=2))
        for array in storages.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path


def refused(path, match=None):
    with pytest.raises(TorchFileError, match=match) as info:
        read_state_dict(path)
    message = str(info.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        assert actual[name].shape == array.shape
        np.testing.assert_array_equal(actual[name], array)


SIX = np.arange(6, dtype=np.float32)
BYTES = {"data/0": SIX.tobytes()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pth"


@pytest.fixture
def tensors():
    result = {f"some.{dtype}": (np.arange(24) % 5 - 2).astype(dtype) for dtype in DTYPES}
    result = {name: array.reshape(2, 3, 4) for name, array in result.items()}
    result["num_batches_tracked"] = np.array(7, np.int64)
    result["empty"] = np.zeros((0, 3), np.float32)
    result["transposed"] = np.arange(6, dtype=np.float32).reshape(2, 3).T
    result["big_endian"] = np.arange(3, dtype=">f4")
    result["naïve"] = np.float32([np.nan, np.inf, -0.0])
    return result


@pytest.mark.parametrize(
    ("name", "tensors", "bytes_of_overhead"),
    [
        ("coco_like/latest_net_G.pth", 234, 50_000),
        ("coco_like/latest_net_D.pth", 26, 10_000),
        ("vae/latest_net_G.pth", 234, 80_000),
        ("vae/latest_net_E.pth", 22, 10_000),
    ],
)
def test_reads_official_checkpoints(name, tensors, bytes_of_overhead):
    if not GOLDEN.exists():
        pytest.skip("the golden values of the official release are not beside the checkout")
    path = GOLDEN / name
    state = read_state_dict(path)
    assert len(state) == tensors
    assert all(np.isfinite(array).all() for array in state.values())
    # Nothing is left out: the arrays account for the file's size.
    stored = sum(array.nbytes for array in state.values())
    assert 0 < path.stat().st_size - stored < bytes_of_overhead
    vectors = {k.removesuffix("_u") for k in state if k.endswith("weight_u")}
    assert vectors
    for weight in vectors:  # Spectral norm keeps u of unit length: values are in the right places.
        # Within float32's rounding of a sum of squares.
        np.testing.assert_allclose(np.linalg.norm(state[f"{weight}_u"]), 1, atol=1e-5)
        assert state[f"{weight}_u"].shape == state[f"{weight}_orig"].shape[:1]


def test_pytorch_opens_what_is_written_and_the_reverse(path, tensors):
    torch = pytest.importorskip("torch")
    for legacy in (False, True):
        write_state_dict(path, tensors, legacy=legacy)
        opened = torch.load(path, weights_only=True)
        native = {k: v.astype(v.dtype.newbyteorder("=")) for k, v in tensors.items()}
        assert_same({k: v.numpy() for k, v in opened.items()}, native)
        opened["view"] = torch.arange(12.0).reshape(3, 4).t()[1:]
        opened["bfloat16"] = torch.tensor([1.5, -3.0]).to(torch.bfloat16)
        torch.save(opened, path, _use_new_zipfile_serialization=not legacy)
        native["view"] = opened["view"].numpy()
        native["bfloat16"] = np.float32([1.5, -3.0])
        assert_same(read_state_dict(path), native)


@pytest.mark.parametrize("legacy", [False, True])
def test_round_trip(path, tensors, legacy):
    write_state_dict(path, tensors, legacy=legacy)
    state = read_state_dict(path)
    assert_same(state, {k: v.astype(v.dtype.newbyteorder("=")) for k, v in tensors.items()})
    assert np.signbit(state["naïve"][2])
    assert os.listdir(path.parent) == [path.name]
    write_state_dict(path, {}, legacy=legacy)
    assert read_state_dict(path) == {}


@pytest.mark.parametrize("legacy", [False, True])
def test_bytes_depend_on_the_tensors_only(tmp_path, tensors, legacy):
    write_state_dict(tmp_path / "a.pth", tensors, legacy=legacy)
    write_state_dict(tmp_path / "b.pth", dict(tensors), legacy=legacy)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_storages_of_the_zip_format_are_aligned(path, tensors):
    write_state_dict(path, tensors)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            name, extra = struct.unpack_from("<HH", content, info.header_offset + 26)
            assert (info.header_offset + 30 + name + extra) % 64 == 0


@pytest.mark.parametrize("bad", [np.zeros(2, np.complex64), np.array(["a"]), np.array([{}])])
def test_write_refuses_other_types_by_name(path, bad):
    with pytest.raises(TorchFileError, match=rf"'odd'.*{re.escape(str(bad.dtype))}"):
        write_state_dict(path, {"odd": bad})
    assert os.listdir(path.parent) == []


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    write_state_dict(path, {"a": SIX})
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(TorchFileError, match="No space left"):
        write_state_dict(path, {"b": SIX})
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("offset", "size", "stride", "expected"),
    [
        (0, (2, 3), (3, 1), [[0, 1, 2], [3, 4, 5]]),
        (0, (3, 2), (1, 3), [[0, 3], [1, 4], [2, 5]]),
        (1, (2, 2), (3, 1), [[1, 2], [4, 5]]),
        (5, (), (), 5),
        (2, (1, 2), (100, 1), [[2, 3]]),
        (0, (6,), (0,), [0, 0, 0, 0, 0, 0]),
        (6, (0, 4), (4, 1), np.zeros((0, 4))),
    ],
)
@pytest.mark.parametrize("function", ["_rebuild_tensor", "_rebuild_tensor_v2"])
def test_offsets_and_strides(path, offset, size, stride, expected, function):
    data = tensor(storage(), offset, size, stride, function)
    state = read_state_dict(write_zip(path, state_dict(x=data), BYTES))
    np.testing.assert_array_equal(state["x"], np.float32(expected))
    assert state["x"].shape == size


def test_shared_storages_stay_shared_and_cannot_be_written(path):
    data = state_dict(a=tensor(storage()), b=tensor(storage(), 3, (3,), (1,)))
    state = read_state_dict(write_zip(path, data, BYTES))
    assert np.shares_memory(state["a"], state["b"])
    with pytest.raises(ValueError, match="read-only"):
        state["a"][0, 0] = 1


def test_legacy_views_of_a_storage(path):
    view = storage(numel=6, view=("v", 2, 3), legacy=True)
    data = state_dict(x=tensor(view, 1, (2,), (1,)), y=tensor(storage(legacy=True)))
    state = read_state_dict(write_legacy(path, data, {"0": SIX}))
    np.testing.assert_array_equal(state["x"], [3, 4])
    np.testing.assert_array_equal(state["y"], SIX.reshape(2, 3))


def test_parameters(path):
    parameter = global_("torch._utils", "_rebuild_parameter") + b"(" + tensor(storage())
    data = state_dict(x=parameter + b"\x88" + global_("collections", "OrderedDict") + b")RtR")
    np.testing.assert_array_equal(
        read_state_dict(write_zip(path, data, BYTES))["x"], SIX.reshape(2, 3)
    )


def test_bfloat16_is_widened(path):
    # Sign, 8 bits of exponent, 7 of mantissa: 1, -2, 0.15625, infinity by hand.
    raw = np.array([0x3F80, 0xC000, 0x3E20, 0x7F80], "<u2").tobytes()
    data = state_dict(x=tensor(storage(numel=4, kind="BFloat16Storage"), 0, (4,), (1,)))
    x = read_state_dict(write_zip(path, data, {"data/0": raw}))["x"]
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [1, -2, 0.15625, np.inf])


@pytest.mark.parametrize(("order", "code"), [(b"little", "<f4"), (b"big", ">f4")])
def test_byte_order(path, order, code):
    records = {"byteorder": order, "data/0": SIX.astype(code).tobytes()}
    x = read_state_dict(write_zip(path, state_dict(x=tensor(storage())), records))["x"]
    assert x.dtype.isnative
    np.testing.assert_array_equal(x, SIX.reshape(2, 3))


def test_ordered_dict_with_metadata(path):
    ordered = global_("collections", "OrderedDict") + b")R"
    metadata = b"}" + value("_metadata") + ordered + b"sb"
    data = b"\x80\x02" + ordered + b"(" + value("x") + tensor(storage()) + b"u" + metadata + b"."
    assert list(read_state_dict(write_zip(path, data, BYTES))) == ["x"]


@pytest.mark.parametrize("legacy", [False, True])
def test_takes_the_state_dict_of_a_checkpoint(path, legacy):
    inner = state_dict(x=tensor(storage(legacy=legacy)))[2:-1]
    other = (
        value("optimizer") + b"](" + tensor(storage("1", 2, legacy=legacy), 0, (2,), (1,)) + b"e"
    )
    data = b"\x80\x02}(" + value("epoch") + value(3) + other + value("state_dict") + inner + b"u."
    if legacy:
        # The optimizer's storage lies before the one that is wanted.
        write_legacy(path, data, {"1": SIX[:2], "0": SIX})
    else:
        write_zip(path, data, {**BYTES, "data/1": SIX[:2].tobytes()})
    assert_same(read_state_dict(path), {"x": SIX.reshape(2, 3)})


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
