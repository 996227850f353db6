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


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def main(library: str, version: str, inputs: str, outputs: str) -> None:
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
    pointer = ctypes.c_void_p
    status, graph = pointer(tf.TF_NewStatus()), pointer(tf.TF_NewGraph())

    def check():
        code = tf.TF_GetCode(status)
        if code:
            print(f"code {code}: {tf.TF_Message(status).decode()}", file=sys.stderr)
            sys.exit(1)

    tags = (ctypes.c_char_p * 1)(b"serve")
    session = tf.TF_LoadSessionFromSavedModel(
        pointer(tf.TF_NewSessionOptions()),
        None,
        version.encode(),
        tags,
        1,
        graph,
        None,
        status,
    )
    check()

    def place(name):
        operation, _, index = name.partition(":")
        found = tf.TF_GraphOperationByName(graph, operation.encode())
        assert found, name
        return Output(found, int(index or 0))

    def numbers(array):
        kind = {np.dtype(dtype): number for number, dtype in DTYPES.items()}[array.dtype]
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = tf.TF_AllocateTensor(kind, sizes, array.ndim, ctypes.c_size_t(array.nbytes))
        data = np.ascontiguousarray(array)
        ctypes.memmove(tf.TF_TensorData(pointer(tensor)), data.ctypes.data, data.nbytes)
        return tensor

    def text(data):
        sizes = (ctypes.c_int64 * 1)(1)
        tensor = tf.TF_AllocateTensor(STRING, sizes, 1, ctypes.c_size_t(STRING_BYTES))
        place = pointer(tf.TF_TensorData(pointer(tensor)))
        tf.TF_StringInit(place)
        tf.TF_StringCopy(place, data, ctypes.c_size_t(len(data)))
        return tensor

    def array(tensor):
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

    with np.load(inputs) as file:
        given = dict(file)
    fetch = [str(name) for name in given.pop("fetch")]
    places = (Output * len(given))(*(place(name.rstrip("*")) for name in given))
    values = (ctypes.c_void_p * len(given))(
        *(
            text(value.tobytes()) if name.endswith("*") else numbers(value)
            for name, value in given.items()
        )
    )
    wanted = (Output * len(fetch))(*map(place, fetch))
    made = (ctypes.c_void_p * len(fetch))()
    tf.TF_SessionRun(
        pointer(session),
        None,
        places,
        values,
        len(given),
        wanted,
        made,
        len(fetch),
        None,
        0,
        None,
        status,
    )
    check()
    assert "tensorflow" not in sys.modules
    np.savez(outputs, *(array(tensor) for tensor in made))


if __name__ == "__main__":
    main(*sys.argv[1:])
