import numpy as np
import pytest
import tensorflow as tf

from spade_tf.serving.errors import BadRequestError

predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")

from spade_tf.serving.fronts.tensor_messages import from_tensor, to_tensors  # noqa: E402
from spade_tf.serving.fronts.wire import parse_message  # noqa: E402

KIND = predict_pb2.PredictRequest


def message(**arrays):
    request = KIND()
    request.model_spec.name = "tiny"
    request.model_spec.version.value = 3
    to_tensors(arrays, request.inputs)
    return request


def test_messages_of_clients_are_parsed():
    request = message(
        label=np.zeros([16, 512, 512], np.int32), files=np.array([b"a" * 999] * 16, object)
    )
    request.inputs["packed"].dtype = tf.int32.as_datatype_enum
    request.inputs["packed"].int_val.extend(range(300_000))
    assert parse_message(KIND, request.SerializeToString()) == request
    assert parse_message(KIND, b"") == KIND()


def field(number, contents):
    """A length-delimited field."""
    size, encoded = len(contents), bytearray([number << 3 | 2])
    while size > 127:
        encoded.append(size & 127 | 128)
        size >>= 7
    return bytes(encoded) + bytes([size]) + contents


MANY = 10_001
KEY = field(1, b"label")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x12\x00" * MANY, "more than 10000 parts"),
        (field(2, KEY + field(2, b"\x42\x00" * MANY)), "more than 10000 parts"),
        (field(2, KEY + field(2, field(2, b"\x12\x00" * MANY))), "more than 10000 parts"),
        (field(2, KEY + field(2, b"\x38\x01" * MANY)), "more than 10000 parts"),
        (b"\x78\x01" * MANY, "more than 10000 parts"),
        (field(2, KEY + field(2, field(7, b"\x01" * 4_194_305))), "about 4194305 numbers"),
        (b"\x12", "cut off"),
        (b"\x12\x7f", "cut off"),
        (b"\xff" * 20, "cut off"),
        (b"\x0b", "cannot be read"),
        (field(1, b"\x0a\x02\xff\xfe"), "no PredictRequest"),
    ],
)
def test_messages_that_are_too_much_or_none(data, text):
    with pytest.raises(BadRequestError, match=text) as caught:
        parse_message(KIND, data)
    assert "\n" not in str(caught.value)


def test_levels_are_counted():
    # A tensor in a variant in a tensor, and so on.
    data = b""
    for _ in range(20):
        data = field(15, field(3, data))
    with pytest.raises(BadRequestError, match="more than 16 levels"):
        parse_message(KIND, field(2, KEY + field(2, data)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32).reshape(1, 2, 3),
        np.array([[-1, 1 << 40]], np.int64),
        np.array([1.5, -2.5], np.float32),
        np.array([200, 3], np.uint8),
        np.array([b"\x00\xff", b""], object),
        np.zeros([0, 4], np.float32),
    ],
)
def test_arrays_are_those_of_tensorflow(array):
    tensor = tf.make_tensor_proto(array)
    made = from_tensor("x", tensor)
    np.testing.assert_array_equal(made, tf.make_ndarray(tensor))
    assert made.dtype == array.dtype
    if array.dtype == object or not array.size:
        return
    # As other languages write it, number by number, and with one number for all.
    slow = tf.make_tensor_proto(array)
    slow.ClearField("tensor_content")
    name = {"int32": "int_val", "uint8": "int_val", "int64": "int64_val", "float32": "float_val"}
    getattr(slow, name[array.dtype.name])[:] = array.ravel().tolist()
    np.testing.assert_array_equal(from_tensor("x", slow), array)
    getattr(slow, name[array.dtype.name])[:] = array.ravel().tolist()[:1]
    np.testing.assert_array_equal(from_tensor("x", slow), tf.make_ndarray(slow))


def _shape(tensor, *sizes):
    del tensor.tensor_shape.dim[:]
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)


def test_tensors_that_do_not_hold_what_they_say():
    for change, text in (
        (lambda t: t.tensor_shape.dim.add(size=1 << 40), "which nothing fits"),
        (lambda t: _shape(t, 0, 1 << 40, 1 << 40), "which nothing fits"),
        (lambda t: _shape(t, 0, 1 << 31, 1 << 31), "which nothing fits"),
        (lambda t: _shape(t, *[0] * 9), "which nothing fits"),
        (lambda t: _shape(t), "8 bytes of int32 received"),
        (lambda t: setattr(t.tensor_shape, "unknown_rank", True), "of a known shape"),
        (lambda t: setattr(t, "dtype", tf.bool.as_datatype_enum), "dtype 10"),
        (lambda t: setattr(t, "dtype", 0), "dtype 0"),
        (lambda t: setattr(t, "dtype", tf.string.as_datatype_enum), "0 strings received"),
        (lambda t: setattr(t, "dtype", tf.float64.as_datatype_enum), "8 bytes of float64"),
        (lambda t: t.tensor_shape.dim.add(size=-1), "of a known shape"),
        (lambda t: t.tensor_shape.dim.add(size=2), "8 bytes of int32 received"),
        (lambda t: setattr(t, "dtype", 19), "dtype 19"),
    ):
        tensor = tf.make_tensor_proto(np.array([1, 2], np.int32))
        tensor.tensor_content = np.array([1, 2], np.int32).tobytes()
        change(tensor)
        with pytest.raises(BadRequestError, match=text):
            from_tensor("x", tensor)
    tensor = tf.make_tensor_proto(np.array([1, 2], np.uint8))
    tensor.ClearField("tensor_content")
    tensor.int_val[:] = [1, 300]
    with pytest.raises(BadRequestError, match="uint8 does not hold"):
        from_tensor("x", tensor)
