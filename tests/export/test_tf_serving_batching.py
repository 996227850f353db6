"""What each client of TensorFlow Serving gets beside others, with the written configuration."""

import numpy as np
import pytest
import tensorflow as tf
from batching_double import BatchingDouble, RefusedError, batching_parameters
from served_networks import Z_DIM, layouts

from spade_tf.export.serving_config import serving_files
from spade_tf.training.pictures import encode_png

LABEL = layouts(4)
PNG = [encode_png(ids.astype(np.uint8)) for ids in LABEL]
# A configuration that batches several requests. Exports must not write this one.
SHARED = "max_batch_size { value: 8 } max_enqueued_batches { value: 64 }"


def request(row=0, rows=1, **changes):
    label = np.repeat(LABEL[row : row + 1], rows, 0)
    seed = np.arange(row, row + rows, dtype=np.int64)
    return "serving_default", {"label": label, "instance": label, "seed": seed} | changes


def file_request(row, encoded=None, instance=b""):
    return "generate_bytes", {
        "label_bytes": np.array([PNG[row] if encoded is None else encoded], object),
        "instance_bytes": np.array([instance], object),
        "seed": np.array([row], np.int64),
    }


def alone(signatures, name, inputs):
    outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in outputs.items()}


@pytest.fixture
def server(signatures):
    files = serving_files("m", image="i", cpus=2, memory_mib=1024, max_replicas=1)
    return BatchingDouble(signatures, batching_parameters(files["batching.config"]))


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([request(0), request(1, label=LABEL[1:2] + 9), request(2)], "label: ids 0 to 4"),
        ([file_request(0), file_request(1, PNG[1][:-30]), file_request(2)], "Invalid PNG data"),
        ([file_request(0), file_request(1, b"GIF89a"), file_request(2)], "not a PNG file"),
        ([request(0), request(1, label=LABEL[1:2, :32]), request(2)], "received 32x64"),
    ],
)
def test_a_bad_request_fails_alone(signatures, server, requests, text):
    first, bad, last = server.answer(requests)
    assert isinstance(bad, RefusedError)
    assert bad.code == "INVALID_ARGUMENT"
    assert text in str(bad)
    for answer, (name, inputs) in ((first, requests[0]), (last, requests[2])):
        for key, value in alone(signatures, name, inputs).items():
            np.testing.assert_array_equal(answer[key], value)


def test_no_instances_beside_instances(signatures, server):
    requests = [request(0), request(1, instance=np.zeros([1, 1, 1], np.int32)), request(2)]
    for answer, (name, inputs) in zip(server.answer(requests), requests, strict=True):
        np.testing.assert_array_equal(answer["image"], alone(signatures, name, inputs)["image"])


def test_other_numbers_of_styles_beside_one_another(server):
    requests = []
    for count in (1, 3):
        z = np.zeros([1, count, Z_DIM], np.float32)
        requests.append(
            ("generate_styles", {"label": LABEL[:1], "instance": LABEL[:1], "z": z}),
        )
    assert [answer["image"].shape[:2] for answer in server.answer(requests)] == [(1, 1), (1, 3)]


def test_many_pictures_are_made_one_at_a_time(server):
    (answer,) = server.answer([request(rows=20)])
    assert answer["image"].shape == (20, 64, 64, 3)
    assert server.batches == [1] * 20


def test_requests_that_are_too_large_or_too_many(server):
    (answer,) = server.answer([request(rows=65)])
    assert "larger than maximum input batch size 64" in str(answer)
    answers = server.answer([request(rows=64, label=LABEL[:1].repeat(64, 0) + 9)] * 3)
    # 128 wait at most, so that there is no place for all of the third.
    assert [answer.code for answer in answers] == ["INVALID_ARGUMENT"] * 2 + ["UNAVAILABLE"]


def test_batches_of_several_requests_would_fail_them_all(signatures):
    """As the double has it, and TensorFlow Serving: so it can tell."""
    server = BatchingDouble(signatures, batching_parameters(SHARED))
    answers = server.answer([request(0), request(1, label=LABEL[1:2] + 9)])
    assert [answer.code for answer in answers] == ["INVALID_ARGUMENT"] * 2
    requests = [request(0), request(1, instance=np.zeros([1, 1, 1], np.int32))]
    assert [answer.code for answer in server.answer(requests)] == ["FAILED_PRECONDITION"] * 2
    assert server.answer([request(rows=9)])[0].code == "INVALID_ARGUMENT"
    together = server.answer([request(0), request(1)])
    assert server.batches[-1] == 2
    assert all(answer["image"].shape == (1, 64, 64, 3) for answer in together)
