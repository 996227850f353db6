import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.fronts.json_answers import flat, rest_answer
from spade_tf.serving.fronts.rest_requests import from_rest
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.requests import Spec, from_base64, make_request, photograph_size
from spade_tf.training.pictures import encode_png


def spec(dtype, *shape):
    return Spec(dtype, shape)


IDS = {
    "label": spec("int32", None, None, None),
    "instance": spec("int32", None, None, None),
    "seed": spec("int64", None),
}
SPECS = {
    "serving_default": IDS,
    "generate_bytes": {
        "label_bytes": spec("string", None),
        "seed": spec("int64", None),
    },
    "generate_styles": {**IDS, "z": spec("float32", None, None, 4)},
    "encode_style": {"image_bytes": spec("string", None)},
}
LIMITS = RequestLimits(max_batch=3, max_pixels=3 * 64)
LABEL = np.arange(64).reshape(8, 8) % 5
FILE = encode_png(LABEL.astype(np.uint8))
B64 = {"b64": base64.b64encode(FILE).decode()}


def read(body):
    return from_rest(body, SPECS, LIMITS)


def test_rows_and_columns_are_the_same_request():
    rows = [{"label": LABEL.tolist(), "seed": seed} for seed in (1, 2)]
    by_rows = read({"instances": rows})
    by_columns = read({"inputs": {"label": [LABEL.tolist()] * 2, "seed": [1, 2]}})
    for request in (by_rows, by_columns):
        assert request.rows == 2
        assert request.inputs["label"].dtype == np.int32
        np.testing.assert_array_equal(request.inputs["label"], np.stack([LABEL] * 2))
        np.testing.assert_array_equal(request.inputs["seed"], [1, 2])
        # None given: no edges.
        np.testing.assert_array_equal(request.inputs["instance"], np.zeros([2, 1, 1]))
    assert by_rows.key == by_columns.key


def test_files_are_bytes_and_sizes_tell_batches_apart():
    one = read({"signature_name": "generate_bytes", "instances": [{"label_bytes": B64}]})
    assert one.inputs["label_bytes"][0] == FILE
    smaller = encode_png(LABEL[:4].astype(np.uint8))
    inputs = {"label_bytes": [smaller]}
    other = make_request("generate_bytes", inputs, SPECS, LIMITS)
    assert one.key != other.key


def test_the_only_input_may_stand_for_itself():
    body = {"signature_name": "encode_style", "instances": [B64]}
    assert read(body).inputs["image_bytes"][0] == FILE
    body = {"signature_name": "encode_style", "inputs": [B64, B64]}
    assert read(body).rows == 2


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, "the body must be a JSON object"),
        ([], "the body must be a JSON object"),
        ({}, "give either instances"),
        ({"instances": [], "inputs": {}}, "give either instances"),
        ({"instances": []}, "a list of one row or more"),
        ({"instances": 3}, "a list of one row or more"),
        ({"instances": [3]}, "rows that are objects of label, instance, seed"),
        ({"instances": [{"label": 1}, {"seed": 1}]}, "rows differ in their keys"),
        ({"inputs": [1]}, "an object of label, instance, seed"),
        ({"inputs": {}}, "label: missing"),
        ({"inputs": {"seed": [1]}}, "label: missing"),
        ({"inputs": {"x": 1}}, "'x' is no input of serving_default"),
        ({"inputs": {"label": None}}, "label: not an array of numbers"),
        ({"inputs": {"label": [[[1, 2], [3]]]}}, "label: not an array of numbers"),
        ({"inputs": {"label": "cat"}}, "label: str"),
        ({"inputs": {"label": [[[1.5]]]}}, "label: float64 received; give int32 [B, H, W]"),
        ({"inputs": {"label": [[[True]]]}}, "label: bool received"),
        (
            {"inputs": {"label": [[[3_000_000_000]]]}},
            "label: 3000000000 received, and int32 holds -2147483648 to 2147483647; give one of",
        ),
        *(
            (
                {"inputs": {"label": [[[1]]] * 2, "seed": seeds}},
                f"received, and int64 holds {-(2**63)} to {2**63 - 1}; give one of these",
            )
            # As Python has them, and as JSON has them, where they become floats.
            for seeds in ([10**30, 0], [1e30, 0], [2**63, 0], [-1, 2**63], [-(10**30), 1])
        ),
        ({"inputs": {"label": [["NaN"]]}}, "label: str96 received; give int32 [B, H, W]"),
        ({"inputs": {"label": np.array([b"NaN"], object)}}, "label: not an array of numbers"),
        ({"inputs": {"label": np.zeros([1, 1, 1], np.complex64)}}, "label: complex64 received"),
        ({"inputs": {"label": []}}, "label: shape [0] received; give int32 [B, H, W]"),
        ({"inputs": {"label": np.zeros([0, 1, 1], int)}}, "label: 0 rows received; give 1 to 3"),
        ({"inputs": {"label": 3}}, "label: shape [] received"),
        ({"inputs": {"label": [[[1]]], "seed": [1.5]}}, "seed: float64 received; give int64 [B]"),
        ({"inputs": {"label": [[[1]]], "seed": [None]}}, "seed: not an array of numbers"),
        ({"inputs": {"label": [[[1]]], "seed": [float("nan")]}}, "seed: float64 received"),
        ({"inputs": {"label": [[1]]}}, "label: shape [1, 1] received; give int32 [B, H, W]"),
        ({"inputs": {"label": [[[1]]], "seed": [1, 2]}}, "seed: 2 rows received, and label has 1"),
        ({"inputs": {"label": [[[1]]] * 4}}, "label: 4 rows received; give 1 to 3"),
        ({"inputs": {"label": np.zeros([1, 8, 25], int)}}, "200 pixels in all, and 192"),
        ({"signature_name": 3, "inputs": {}}, "signature_name: '3' received; give one of"),
        (
            {"signature_name": "generate_styles", "inputs": {"label": [[[1]]], "z": [[[1, 2]]]}},
            "z: shape [1, 1, 2] received; give float32 [B, K, 4]",
        ),
        (
            {
                "signature_name": "generate_styles",
                "inputs": {"label": [LABEL], "z": np.zeros([1, 4, 4])},
            },
            "256 pixels in all",
        ),
    ],
)
def test_requests_that_do_not_fit(body, text):
    with pytest.raises(BadRequestError) as caught:
        read(body)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_seeds_are_any_number_of_64_bits():
    seeds = [-(2**63), -1, 2**63 - 1]
    request = read({"inputs": {"label": [LABEL[:1, :1]] * 3, "seed": seeds}})
    assert request.inputs["seed"].tolist() == seeds


def test_what_float32_does_not_hold_is_infinite():
    """The graph refuses it then."""
    inputs = {"label": [LABEL], "z": np.full([1, 1, 4], 1e300)}
    request = read({"signature_name": "generate_styles", "inputs": inputs})
    assert np.isinf(request.inputs["z"]).all()


BOMB = FILE[:16] + (30_000).to_bytes(4, "big") * 2 + FILE[24:]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ({"b64": "@@"}, "label_bytes[0]: not base64"),
        ({"b64": 3}, "label_bytes[0]: not base64"),
        ({"b64": ""}, "label_bytes[0]: empty"),
        ("plain", 'label_bytes[0]: give a file as {"b64"'),
        (7, 'label_bytes[0]: give a file as {"b64"'),
        ({"b64": base64.b64encode(b"GIF89a" * 9).decode()}, "label_bytes[0]: not a PNG"),
        ({"b64": base64.b64encode(BOMB).decode()}, "30000x30000 pixels received, and 192"),
    ],
)
def test_files_that_cannot_be_used(file, text):
    with pytest.raises(BadRequestError) as caught:
        read({"signature_name": "generate_bytes", "instances": [{"label_bytes": file}]})
    assert text in str(caught.value)


def test_sizes_of_photographs_come_from_their_headers():
    picture = np.zeros([5, 7, 3], np.uint8)
    jpeg = tf.io.encode_jpeg(picture).numpy()
    assert photograph_size("x", jpeg) == (5, 7)
    assert photograph_size("x", encode_png(picture)) == (5, 7)
    for wrong in (b"", b"no", jpeg[:20]):
        with pytest.raises(BadRequestError, match="x: neither a JPEG nor a PNG"):
            photograph_size("x", wrong)


def test_base64_is_what_tf_serving_takes_for_it():
    """With line breaks, as `base64` of the command line has them, and without padding."""
    data = bytes(range(200))
    for text in (
        base64.encodebytes(data).decode(),
        base64.b64encode(data).decode().rstrip("="),
        base64.b64encode(data).decode().replace("A", "A\r\n\t "),
    ):
        assert from_base64("x", text) == data
    for text in ("A", "AAA*", "AA=A", "AAA\u00e4", None, 3, ["AAAA"]):
        with pytest.raises(BadRequestError, match="x: not base64"):
            from_base64("x", text)


def written(outputs, by_rows):
    return json.loads(b"".join(rest_answer(outputs, by_rows)))


def test_answers_are_those_of_tf_serving():
    image = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 3)
    files = np.array([b"\x00\xff", b"a"], object)
    assert written({"image": image}, by_rows=False) == {"outputs": image.tolist()}
    assert written({"image": image}, by_rows=True) == {"predictions": image.tolist()}
    b64 = [{"b64": "AP8="}, {"b64": "YQ=="}]
    assert written({"image_bytes": files}, by_rows=True) == {"predictions": b64}
    assert written({"image_bytes": files}, by_rows=False) == {"outputs": b64}
    both = {"image_bytes": files, "text": np.array([b"x", b"y"], object)}
    assert written(both, by_rows=True)["predictions"][1] == {"image_bytes": b64[1], "text": "y"}
    assert written(both, by_rows=False)["outputs"]["text"] == ["x", "y"]


@pytest.mark.parametrize("shape", [(2, 300, 301, 3), (3, 100_000), (200_000, 2), (70_000,), (0, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_answers_in_pieces_are_the_whole(shape, dtype):
    """However an array is cut up, its text is that of the array, and no piece is large."""
    array = (np.random.default_rng(0).normal(size=shape) * 100).astype(dtype)
    pieces = list(rest_answer({"image": array}, by_rows=True))
    # 16 bytes at most of a number, a bracket or two for each short row.
    assert max(map(len, pieces)) < 20 * (1 << 16)
    made = np.asarray(json.loads(b"".join(pieces))["predictions"], dtype).reshape(shape)
    np.testing.assert_array_equal(made, array)
    flattened = json.loads(b"".join(flat("image", array)))
    np.testing.assert_array_equal(np.asarray(flattened, dtype), array.ravel())
