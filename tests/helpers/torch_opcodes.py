"""PyTorch's checkpoint files written opcode by opcode, not by the module under test."""

import pickle
import struct
import zipfile

import numpy as np
import pytest

from spade_tf.convert.torch_file import LEGACY_SIGNATURE, TorchFileError, read_state_dict

SIX = np.arange(6, dtype=np.float32)
BYTES = {"data/0": SIX.tobytes()}


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
