"""PyTorch state dicts (`.pth`), read without PyTorch; `torch_file_writing` writes them.

A `.pth` file is a pickle, and a pickle is a program. A hostile one ends in a `TorchFileError`, and
its code never runs: see `restricted_pickle`.
"""

import io
import math
import mmap
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from spade_tf.convert.restricted_pickle import PickleGlobal, shown, unpickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LEGACY_SIGNATURE = b"\x80\x02\x8a\x0a" + _LEGACY_MAGIC.to_bytes(10, "little") + b"."

BFLOAT16 = "BFloat16Storage"
STORAGE_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    BFLOAT16: np.dtype(np.uint16),  # NumPy has no bfloat16: its bits are read, then widened.
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


class TorchFileError(ValueError):
    """A `.pth` file that is damaged, hostile, or holds something else than a state dict."""


class _Storage(NamedTuple):
    kind: str
    key: str
    numel: int  # of the whole storage in the file, of which this may be a view
    view_offset: int
    view_numel: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _is_count(value: Any) -> bool:
    # The bound also keeps later arithmetic and messages free of thousand-digit numbers.
    return type(value) is int and 0 <= value < 2**48


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    if (
        not isinstance(storage, _Storage)
        or not isinstance(size, tuple)
        or not isinstance(stride, tuple)
        or len(size) != len(stride)
        or len(size) > 32
        or not all(_is_count(value) for value in (offset, *size, *stride))
    ):
        raise ValueError("describes a tensor with a storage, offset, size or stride that is none")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.view_numel:
        raise ValueError(
            f"describes a tensor that reaches element {last} of storage {shown(storage.key)}, "
            f"which has {storage.view_numel}"
        )
    # More elements than stored come only from stride 0: a way to ask for any amount of memory.
    if math.prod(size) > storage.view_numel:
        raise ValueError(
            f"describes a tensor of {math.prod(size)} elements "
            f"over a storage of {storage.view_numel}"
        )
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data: Any, *_: Any) -> _Tensor:
    if not isinstance(data, _Tensor):
        raise ValueError("describes a parameter without a tensor")
    return data


def _new_ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    # Python 2 gave the items here, as a list of lists.
    if not all(isinstance(pair, list) and isinstance(pair[0], str) for pair in pairs):
        raise ValueError("gives wrong arguments to collections.OrderedDict")
    return dict(pairs)


def _refuse_storage_call(*_: Any) -> Any:
    raise ValueError("builds a storage outside a tensor")


_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _new_ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    **{f"torch.{name}": _refuse_storage_call for name in STORAGE_DTYPES},
}


class _StorageIndex(dict[str, _Storage]):
    """The storages that a pickle speaks of, by key."""

    def load(self, persistent_id: Any) -> _Storage:
        """A storage's description, from `("storage", type, key, location, numel[, view])`."""
        if (
            not isinstance(persistent_id, tuple)
            or len(persistent_id) not in (5, 6)
            or persistent_id[0] != "storage"
            or not isinstance(persistent_id[1], PickleGlobal)
            or persistent_id[1].constructor is not _refuse_storage_call
            or not isinstance(persistent_id[2], str)
            or not _is_count(persistent_id[4])
        ):
            raise ValueError("has a persistent id that describes no storage")
        _, kind, key, _, numel, *rest = persistent_id
        view_offset, view_numel = 0, numel
        if rest and rest[0] is not None:
            view = rest[0]
            if not isinstance(view, tuple) or len(view) != 3 or not all(map(_is_count, view[1:])):
                raise ValueError("has a persistent id that describes no storage")
            _, view_offset, view_numel = view
            if view_offset + view_numel > numel:
                raise ValueError(f"has a view past the end of storage {shown(key)}")
        storage = _Storage(kind.name.removeprefix("torch."), key, numel, view_offset, view_numel)
        known = self.setdefault(key, storage)
        if (known.kind, known.numel) != (storage.kind, numel):
            raise ValueError(f"describes storage {shown(key)} in two different ways")
        return storage


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads a PyTorch state dict: the zip format, and the legacy one of releases before 1.6.

    The file holds either the state dict itself, or a dict with a state dict under the key
    `"state_dict"`, whose other entries are then ignored.

    Args:
        path: a `.pth` file, as `torch.save` writes it.

    Returns:
        Each tensor by its name, in the file's order, in PyTorch's own layout (OIHW kernels).
        Views keep their strides and share memory as they did in PyTorch, so the arrays are
        read-only. bfloat16 comes as float32, everything else in its own type.

    Raises:
        TorchFileError: in one line that begins with the path, if the file is missing, truncated,
            in no known format, holds something else than tensors, or asks to run anything.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(LEGACY_SIGNATURE)) == LEGACY_SIGNATURE:
                tensors, storages = _read_legacy(file)
            elif zipfile.is_zipfile(file):
                tensors, storages = _read_zip(file, size)
            else:
                raise ValueError("is no PyTorch file, neither zip nor legacy .pth; is it whole?")
        return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except OSError as error:
        raise TorchFileError(f"{os.fspath(path)}: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise TorchFileError(f"{os.fspath(path)}: {reason}") from error


def _state_dict(content: Any) -> dict[str, _Tensor]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}; save model.state_dict() instead")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            key = shown(name) if isinstance(name, str) else "a number"
            raise ValueError(
                f"holds a {type(value).__name__.lstrip('_')} under {key}, where a state dict "
                "has tensors under text keys; save model.state_dict() instead"
            )
    return content


def _numbers(raw: bytes, kind: str, byte_order: Literal["<", ">"]) -> np.ndarray:
    dtype = STORAGE_DTYPES[kind]
    if kind == "BoolStorage":
        return np.frombuffer(raw, np.uint8) != 0  # Any other byte is no valid NumPy bool.
    numbers = np.frombuffer(raw, dtype.newbyteorder(byte_order)).astype(dtype, copy=False)
    if kind == BFLOAT16:
        # A bfloat16 is the upper half of the float32 of the same value.
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers


def _array(tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    numbers = storages[tensor.storage.key][tensor.storage.view_offset + tensor.offset :]
    if 0 in tensor.size:
        return np.empty(tensor.size, numbers.dtype)
    # The bounds were checked when the tensor was described.
    return np.lib.stride_tricks.as_strided(
        numbers,
        tensor.size,
        [step * numbers.itemsize for step in tensor.stride],
        writeable=False,
    )


def _read_zip(file: BinaryIO, file_size: int) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickles = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError("is a zip file, but none that PyTorch wrote: it has no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        # PyTorch compresses nothing, so anything that would unpack to more is a bomb.
        records = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in records):
            raise ValueError("has compressed records, which PyTorch never writes")
        if sum(info.file_size for info in records) > file_size:
            raise ValueError("declares more bytes than it has")

        def record(name: str) -> bytes:
            try:
                return archive.read(folder + name)
            except KeyError:
                raise ValueError(f"has no record {shown(name)}; is it whole?") from None

        index = _StorageIndex()
        data = io.BytesIO(record("data.pkl"))
        tensors = _state_dict(unpickle(data, _CONSTRUCTORS, persistent_load=index.load))
        order = record("byteorder").strip() if folder + "byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise ValueError("has a byteorder record that is neither little nor big")
        storages = {}
        for key in dict.fromkeys(tensor.storage.key for tensor in tensors.values()):
            kind, numel = index[key].kind, index[key].numel
            raw = record(f"data/{key}")
            expected = numel * STORAGE_DTYPES[kind].itemsize
            if len(raw) != expected:
                raise ValueError(
                    f"has {len(raw)} bytes for storage {shown(key)}, which needs {expected}"
                )
            storages[key] = _numbers(raw, kind, "<" if order == b"little" else ">")
        return tensors, storages


def _read_legacy(file: BinaryIO) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    # A memory map never reads past its end, whatever length the file claims.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        stream = cast(IO[bytes], mapped)
        stream.seek(len(LEGACY_SIGNATURE))
        if unpickle(stream, {}) != LEGACY_PROTOCOL:
            raise ValueError(f"has a legacy protocol other than {LEGACY_PROTOCOL}")
        unpickle(stream, {})  # The system's info: storages are little-endian whatever it says.
        index = _StorageIndex()
        tensors = _state_dict(unpickle(stream, _CONSTRUCTORS, persistent_load=index.load))
        keys = unpickle(stream, {})
        if not (
            isinstance(keys, list)
            and all(isinstance(key, str) for key in keys)
            and set(keys) == set(index)
        ):
            raise ValueError("has a list of storages other than those that it describes")
        used = {tensor.storage.key for tensor in tensors.values()}
        storages = {}
        for key in keys:
            kind, numel = index[key].kind, index[key].numel
            head = stream.read(8)
            if len(head) == 8 and head != struct.pack("<q", numel):
                raise ValueError(f"has a storage {shown(key)} of another size than described")
            expected = numel * STORAGE_DTYPES[kind].itemsize
            raw = stream.read(expected)
            if len(head) != 8 or len(raw) != expected:
                raise ValueError(
                    f"ends inside storage {shown(key)}: {len(raw)} of {expected} bytes are there"
                )
            if key in used:
                storages[key] = _numbers(raw, kind, "<")
        return tensors, storages
