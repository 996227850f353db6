"""Other projects' clients against the embedded server, used as their users do."""

import base64
import gzip
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from served_networks import layouts

from spade_tf.serving.client.client import connect
from spade_tf.serving.errors import ServingError
from spade_tf.training.pictures import encode_png

SEED = 11
LABEL = layouts(1)
FILE = encode_png(LABEL[0].astype(np.uint8))
B64 = base64.b64encode(FILE).decode()


@pytest.fixture(scope="module")
def expected(signatures):
    """Pixels and the PNG file, from the export in this process."""
    seed = tf.constant([SEED], tf.int64)
    maps = {"label": tf.constant(LABEL), "instance": tf.constant(LABEL)}
    files = {"label_bytes": tf.constant([FILE]), "instance_bytes": tf.constant([FILE])}
    image = signatures["serving_default"](**maps, seed=seed)["image"].numpy()
    return image, signatures["generate_png_bytes"](**files, seed=seed)["image_bytes"].numpy()[0]


def ask(server, path, body=None, **headers):
    """Status, headers and body of an answer."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    request = urllib.request.Request(server.url + path, body, named)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_clients_of_tf_serving_work_unchanged(server, expected, tmp_path):
    """Runs a client in its own process, without this project."""
    np.save(tmp_path / "label.npy", LABEL)
    script = Path(__file__).parent / "tf_serving_samples.py"
    ports = [str(server.port), str(server.grpc_port)]
    arguments = ["tiny", tmp_path / "label.npy", str(SEED), tmp_path / "made.npz"]
    result = subprocess.run(
        [sys.executable, script, *ports, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(tmp_path / "made.npz") as made:
        assert bytes(made["png"]) == expected[1]
        arrays = [key for key in made.files if key != "png"]
        assert len(arrays) == 7
        for key in arrays:
            np.testing.assert_array_equal(made[key], expected[0], err_msg=key)


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_clients_of_triton_work_unchanged(server, expected, kind):
    triton = pytest.importorskip(f"tritonclient.{kind}")
    from tritonclient.utils import InferenceServerException

    port = server.port if kind == "http" else server.grpc_port
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    metadata = client.get_model_metadata("tiny")
    versions = metadata["versions"] if kind == "http" else metadata.versions
    assert list(versions) == ["1"]

    arrays = {"label": LABEL, "instance": LABEL, "seed": np.array([SEED], np.int64)}
    inputs = []
    for name, value in arrays.items():
        kind_of = "INT64" if name == "seed" else "INT32"
        inputs.append(triton.InferInput(name, list(value.shape), kind_of))
        inputs[-1].set_data_from_numpy(value)
    for version in ("", "1"):
        result = client.infer("tiny", inputs, model_version=version, request_id="me")
        np.testing.assert_array_equal(result.as_numpy("image"), expected[0])
    if kind == "http":
        packed = {"request_compression_algorithm": "gzip"}
        result = client.infer("tiny", inputs, **packed)
        np.testing.assert_array_equal(result.as_numpy("image"), expected[0])
    # Raw files, as read from disk.
    inputs = [triton.InferInput("seed", [1], "INT64")]
    inputs[0].set_data_from_numpy(arrays["seed"])
    for name in ("label_bytes", "instance_bytes"):
        inputs.append(triton.InferInput(name, [1], "BYTES"))
        inputs[-1].set_data_from_numpy(np.array([FILE], object))
    parameters = {"signature_name": "generate_png_bytes"}
    wanted = [triton.InferRequestedOutput("image_bytes")]
    result = client.infer("tiny", inputs, outputs=wanted, parameters=parameters)
    assert result.as_numpy("image_bytes")[0] == expected[1]

    with pytest.raises(InferenceServerException, match="version 7 of tiny is not served"):
        client.infer("tiny", inputs, model_version="7")
    wrong = [triton.InferRequestedOutput("nosuch")]
    with pytest.raises(InferenceServerException, match="'nosuch' is none; the outputs are image"):
        client.infer("tiny", inputs, outputs=wrong, parameters=parameters)
    # No client may unload the model.
    for call in (client.unload_model, client.load_model):
        with pytest.raises(InferenceServerException, match="folder"):
            call("tiny")
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    client.close()


@pytest.mark.parametrize("action", ["load", "unload"])
def test_nobody_takes_the_model_away(server, action):
    status, _, body = ask(server, f"/v2/repository/models/tiny/{action}", b"{}")
    assert status == 501
    assert "put a version into the model's folder" in json.loads(body)["error"]
    assert ask(server, "/v2/models/tiny/ready")[0] == 200


def test_metadata_names_all_signatures(server):
    found = json.loads(ask(server, "/v2/models/tiny")[2])
    assert found["versions"] == ["1"]
    assert found["signatures"]["encode_style"]["inputs"][0]["datatype"] == "BYTES"
    assert found["signatures"]["serving_default"]["inputs"] == found["inputs"]
    assert not any(name.startswith("stage_") for name in found["signatures"])
    assert ask(server, "/v2/models/tiny/versions/7")[0] == 404
    assert ask(server, "/v2/models/other")[0] == 404


def test_compressed_bodies_are_taken(server, expected):
    row = {"label_bytes": {"b64": B64}, "instance_bytes": {"b64": B64}, "seed": SEED}
    body = json.dumps({"signature_name": "generate_png_bytes", "instances": [row]}).encode()
    path = "/v1/models/tiny:predict"
    for encoding, packed in (
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("identity", body),
    ):
        status, _, answer = ask(server, path, packed, Content_Encoding=encoding)
        assert status == 200, answer
        assert base64.b64decode(json.loads(answer)["predictions"][0]["b64"]) == expected[1]
    for encoding, packed, status, text in (
        ("br", body, 415, "'br' received; send gzip, deflate or identity"),
        ("gzip", body, 400, "the body is not gzip"),
        ("gzip", gzip.compress(body)[:-9], 400, "cut off"),
        ("gzip", gzip.compress(bytes(20 << 20)), 413, "once unpacked"),
    ):
        got, _, answer = ask(server, path, packed, Content_Encoding=encoding)
        assert (got, text in json.loads(answer)["error"]) == (status, True), answer


def test_the_client_reads_that_its_body_is_too_large(server):
    """The client reports the error once, although the server stops reading while it sends."""
    file = np.array([bytes(30 << 20), None], object)[:1]
    with connect(server.url, "tiny") as client, pytest.raises(ServingError) as caught:
        client.predict("generate_bytes", {"label_bytes": file})
    assert "status 413: a body of 41943" in str(caught.value)
    assert "attempts" not in str(caught.value)


def test_metrics_count_errors_and_time(server):
    def value(name):
        lines = ask(server, "/metrics")[2].decode().splitlines()
        found = [line.rpartition(" ")[2] for line in lines if line.startswith(name + " ")]
        return float(found[0]) if found else 0.0

    wrong = 'spade_requests_total{code="INVALID_ARGUMENT",front="rest"}'
    timed = 'spade_request_seconds_count{front="rest"}'
    before = value(wrong), value(timed)
    assert ask(server, "/v1/models/tiny:predict", b"not json")[0] == 400
    assert (value(wrong), value(timed)) == (before[0] + 1, before[1] + 1)
    assert value("spade_queue_length") == 0
    assert value("spade_model_version") == 1


def test_grpc_messages_that_are_too_much(server):
    """Millions of parts in few bytes are refused before they are parsed."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for call, message in (
            (predict, b"\x12\x00" * 1_000_000),
            (infer, b"\x2a\x00" * 1_000_000),
            (infer, b"\x3a\x00" * 1_000_000),
        ):
            with pytest.raises(grpc.RpcError, match="more than 10000 parts") as caught:
                call(message, timeout=60)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
