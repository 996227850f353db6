"""PyTorch state dicts (`.pth`), written without PyTorch."""

import math
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spade_tf.convert.restricted_pickle import shown
from spade_tf.convert.torch_file import (
    BFLOAT16,
    LEGACY_PROTOCOL,
    LEGACY_SIGNATURE,
    STORAGE_DTYPES,
    TorchFileError,
)

_LEGACY_SYS_INFO = {
    "protocol_version": LEGACY_PROTOCOL,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
_DTYPE_STORAGES = {dtype: name for name, dtype in STORAGE_DTYPES.items() if name != BFLOAT16}


def write_state_dict(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], *, legacy: bool = False
) -> None:
    """Writes a state dict that `torch.load(path, weights_only=True)` opens.

    The same tensors give the same bytes. The file appears whole or not at all.

    Args:
        path: the file to write; its folder must exist.
        tensors: each tensor by its name, in the order to be written and in PyTorch's layout:
            float16/32/64, int8/16/32/64, uint8 or bool, of any shape.
        legacy: writes the format of PyTorch before 1.6 instead of the zip format.

    Raises:
        TorchFileError: if a tensor has another type, or the file cannot be written.
    """
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.newbyteorder("=") not in _DTYPE_STORAGES:
            supported = ", ".join(str(dtype) for dtype in _DTYPE_STORAGES)
            raise TorchFileError(
                f"{os.fspath(path)}: tensor {shown(name)} is {array.dtype}; cast it to one of "
                f"{supported}"
            )
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            (_write_legacy if legacy else _write_zip)(file, arrays)
        os.replace(temporary, target)
    except OSError as error:
        raise TorchFileError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _write_zip(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w") as archive:

        def add(name: str, content: bytes) -> None:
            info = zipfile.ZipInfo(f"archive/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # The same bytes on every system.
            # Storages start at multiples of 64, as torch.load(mmap=True) expects of them. The
            # padding is an extra field (two bytes id, two bytes length) after a 30-byte header.
            padding = -(file.tell() + 30 + len(info.filename) + 4) % 64
            info.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
            archive.writestr(info, content)

        add("data.pkl", _pickled_state_dict(arrays, legacy=False))
        add("byteorder", b"little")
        for index, array in enumerate(arrays.values()):
            add(f"data/{index}", _little_endian(array))
        add("version", b"3\n")


def _write_legacy(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    file.write(LEGACY_SIGNATURE)
    for header in (LEGACY_PROTOCOL, _LEGACY_SYS_INFO):
        file.write(pickle.dumps(header, protocol=2))
    file.write(_pickled_state_dict(arrays, legacy=True))
    file.write(pickle.dumps([str(index) for index in range(len(arrays))], protocol=2))
    for array in arrays.values():
        file.write(struct.pack("<q", array.size))
        file.write(_little_endian(array))


def _literal(value: Any) -> bytes:
    """The opcodes of a plain value: its pickle, without the protocol header and the stop."""
    return pickle.dumps(value, protocol=2)[2:-1]


def _pickled_state_dict(arrays: Mapping[str, np.ndarray], *, legacy: bool) -> bytes:
    # Written opcode by opcode, for a pickler would have to import the classes that it names.
    ordered_dict = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", ordered_dict, b"("]
    for index, (name, array) in enumerate(arrays.items()):
        kind = _DTYPE_STORAGES[array.dtype.newbyteorder("=")]
        strides = [
            math.prod(max(n, 1) for n in array.shape[axis + 1 :]) for axis in range(array.ndim)
        ]
        parts += [
            _literal(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            b"(" + _literal("storage") + f"ctorch\n{kind}\n".encode() + _literal(str(index)),
            _literal("cpu") + _literal(array.size) + (b"N" if legacy else b"") + b"tQ",
            _literal(0) + _literal(array.shape) + _literal(tuple(strides)),
            b"\x89" + ordered_dict + b"tR",
        ]
    return b"".join([*parts, b"u."])
