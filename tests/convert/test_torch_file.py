"""PyTorch's checkpoint files, in both formats; see test_hostile_torch_file.py for bad ones."""

import os
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_opcodes import (
    BYTES,
    SIX,
    assert_same,
    global_,
    state_dict,
    storage,
    tensor,
    value,
    write_legacy,
    write_zip,
)

from spade_tf.convert.torch_file import TorchFileError, read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict

GOLDEN = Path(__file__).parents[1] / "goldens" / "nvlabs"
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?"]


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
