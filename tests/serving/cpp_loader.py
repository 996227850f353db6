"""An export in TensorFlow's C++ runtime: `python cpp_loader.py LIBRARY VERSION INPUTS OUTPUTS`.

Python's TensorFlow is not imported: TensorFlow's own shared library loads the SavedModel, as a
server in C++ does. INPUTS is a .npz of arrays by the names of tensors, and `fetch`, the names of
those to compute. Strings are uint8 arrays whose names end in a star: one file each.
"""

import ctypes
import sys

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 4: np.uint8, 9: np.int64}
STRING = 7
STRING_BYTES = 24
pointer = ctypes.c_void_p


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def c_api(library: str) -> ctypes.CDLL:
    """TensorFlow's C functions, with the types of what they return."""
    tf = ctypes.CDLL(library)
    for name in (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_AllocateTensor",
        "TF_TensorData",
        "TF_StringGetDataPointer",
    ):
        getattr(tf, name).restype = ctypes.c_void_p
    tf.TF_Message.restype = ctypes.c_char_p
    tf.TF_Dim.restype = ctypes.c_int64
    tf.TF_TensorByteSize.restype = ctypes.c_size_t
    tf.TF_StringGetSize.restype = ctypes.c_size_t
    return tf


def place(tf, graph, name):
    """The output of a graph that `name` or `name:index` stands for."""
    operation, _, index = name.partition(":")
    found = tf.TF_GraphOperationByName(graph, operation.encode())
    assert found, name
    return Output(found, int(index or 0))


def to_tensor(tf, array, is_text):
    """A tensor of numbers, or of one string."""
    if is_text:
        sizes, data = (ctypes.c_int64 * 1)(1), array.tobytes()
        tensor = tf.TF_AllocateTensor(STRING, sizes, 1, ctypes.c_size_t(STRING_BYTES))
        start = pointer(tf.TF_TensorData(pointer(tensor)))
        tf.TF_StringInit(start)
        tf.TF_StringCopy(start, data, ctypes.c_size_t(len(data)))
        return tensor
    kind = {np.dtype(dtype): number for number, dtype in DTYPES.items()}[array.dtype]
    sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
    tensor = tf.TF_AllocateTensor(kind, sizes, array.ndim, ctypes.c_size_t(array.nbytes))
    data = np.ascontiguousarray(array)
    ctypes.memmove(tf.TF_TensorData(pointer(tensor)), data.ctypes.data, data.nbytes)
    return tensor


def to_array(tf, tensor):
    """The numbers of a tensor, or the bytes of its only string."""
    tensor = pointer(tensor)
    shape = [tf.TF_Dim(tensor, i) for i in range(tf.TF_NumDims(tensor))]
    kind = tf.TF_TensorType(tensor)
    data = tf.TF_TensorData(tensor)
    if kind == STRING:
        size = tf.TF_StringGetSize(pointer(data))
        file = ctypes.string_at(tf.TF_StringGetDataPointer(pointer(data)), size)
        return np.frombuffer(file, np.uint8)
    size = tf.TF_TensorByteSize(tensor)
    return np.frombuffer(ctypes.string_at(data, size), DTYPES[kind]).reshape(shape)


def main(library: str, version: str, inputs: str, outputs: str) -> None:
    tf = c_api(library)
    status, graph = pointer(tf.TF_NewStatus()), pointer(tf.TF_NewGraph())

    def check():
        code = tf.TF_GetCode(status)
        if code:
            print(f"code {code}: {tf.TF_Message(status).decode()}", file=sys.stderr)
            sys.exit(1)

    options, tags = pointer(tf.TF_NewSessionOptions()), (ctypes.c_char_p * 1)(b"serve")
    session = tf.TF_LoadSessionFromSavedModel(
        options, None, version.encode(), tags, 1, graph, None, status
    )
    check()
    with np.load(inputs) as file:
        given = dict(file)
    fetch = [str(name) for name in given.pop("fetch")]
    places = [place(tf, graph, name.rstrip("*")) for name in given]
    values = [to_tensor(tf, value, name.endswith("*")) for name, value in given.items()]
    wanted = (Output * len(fetch))(*(place(tf, graph, name) for name in fetch))
    made = (pointer * len(fetch))()
    fed = (Output * len(given))(*places), (pointer * len(given))(*values), len(given)
    tf.TF_SessionRun(pointer(session), None, *fed, wanted, made, len(fetch), None, 0, None, status)
    check()
    assert "tensorflow" not in sys.modules
    np.savez(outputs, *(to_array(tf, tensor) for tensor in made))


if __name__ == "__main__":
    main(*sys.argv[1:])
