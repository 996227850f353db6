"""Other projects' clients against the embedded server, used as their users do."""

import base64
import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from asking import ask
from served_networks import Z_DIM, layouts

from spade_tf.serving.client.client import connect
from spade_tf.serving.errors import ServingError
from spade_tf.serving.fronts.open_inference import datatype_of, to_raw
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


def test_the_index_lists_the_versions(server):
    ready = [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]
    for body in (b"", b"{}", b'{"ready": true}'):
        status, _, answer = ask(server, "/v2/repository/index", body)
        assert (status, json.loads(answer)) == (200, ready)
    status, _, answer = ask(server, "/v2/repository/index", b'{"ready": 1}')
    assert (status, "such as" in json.loads(answer)["error"]) == (400, True)
    triton = pytest.importorskip("tritonclient.grpc")
    client = triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    (model,) = client.get_model_repository_index().models
    assert [{name: getattr(model, name) for name in ready[0]}] == ready
    client.close()


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/v1/models/tiny:predict", None, 405, "takes POST; send that"),
        ("/v1/models/tiny/versions/1:predict", None, 405, "takes POST; send that"),
        ("/v1/models/tiny/labels/stable:predict", None, 405, "takes POST; send that"),
        ("/v2/models/tiny/infer", None, 405, "takes POST; send that"),
        ("/v2/repository/index", None, 405, "takes POST; send that"),
        ("/v1/models/tiny", b"{}", 405, "takes GET or HEAD; send that"),
        *(
            (path, None, 404, "health is at /v2/health/live and /v2/health/ready")
            for path in ("/health", "/healthz", "/v1/models/tiny:paint", "/v2/models/tiny/draw")
        ),
    ],
)
def test_addresses_that_are_asked_wrongly(server, path, body, status, text):
    got, headers, answer = ask(server, path, body)
    assert (got, text in json.loads(answer)["error"]) == (status, True), answer
    assert status == 404 or headers["Allow"]


def test_the_server_loads_nothing_that_it_does_not_use(server):
    """TensorFlow would import Keras, which imports pandas, which takes seconds of the start."""
    loaded = Path(f"/proc/{server.process.pid}/maps")
    if not loaded.exists():
        pytest.skip("this operating system does not tell what a process has loaded")
    libraries = {line.rpartition("/site-packages/")[2] for line in loaded.read_text().splitlines()}
    packages = {library.partition("/")[0] for library in libraries}
    assert "tensorflow" in packages
    assert not packages & {"pandas", "scipy"}


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


NO_NUMBER = np.full([1, Z_DIM], np.nan, np.float32)
IDS = {"label": LABEL, "instance": LABEL}


@pytest.mark.parametrize(
    ("signature", "inputs", "text"),
    [
        ("", {"label": np.array([b"NaN"], object)}, "label: "),
        ("", {"label": LABEL.astype(np.float32)}, "label: "),
        ("", {"label": LABEL.astype(np.int64) + (1 << 40)}, "int32 holds -2147483648 to"),
        ("", {"label": LABEL - 1}, "label: ids 0 to 4, and 255 for unknown, are allowed"),
        ("", {"label": LABEL[:0]}, "label: 0 rows received"),
        ("", {"label": LABEL[:, :0]}, "received 0x64"),
        ("", {"label": LABEL[0]}, "label: shape [64, 64] received"),
        ("serving_uint8", {"label": LABEL + 300}, "and uint8 holds 0 to 255"),
        ("generate_with_style", {**IDS, "z": NO_NUMBER}, "z: received NaN or infinity"),
        ("generate_with_style", {**IDS, "z": NO_NUMBER[:, :0]}, "z: shape [1, 0] received"),
        ("generate_styles", {**IDS, "z": NO_NUMBER[:0][None]}, "z: received no style"),
        ("generate_bytes", {"label_bytes": np.array([b""], object)}, "label_bytes[0]: empty"),
    ],
)
def test_hostile_values_by_grpc(server, signature, inputs, text):
    """By both protocols: an error of the client's, in one line, and the server goes on."""
    from tensorflow_serving.apis import predict_pb2
    from tritonclient.grpc import service_pb2 as pb

    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "tiny", signature
    open_asked = pb.ModelInferRequest(model_name="tiny")
    open_asked.parameters["signature_name"].string_param = signature
    for key, value in inputs.items():
        asked.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        kind = datatype_of("string" if value.dtype == object else value.dtype.name)
        open_asked.inputs.add(name=key, datatype=kind, shape=value.shape)
        open_asked.raw_input_contents.append(to_raw(value))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for path, message in (
            ("/tensorflow.serving.PredictionService/Predict", asked),
            ("/inference.GRPCInferenceService/ModelInfer", open_asked),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(message.SerializeToString(), timeout=60)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert text in caught.value.details()
            assert "\n" not in caught.value.details()


def test_shapes_that_no_array_has(server):
    """Though they hold no number: as faults of the server, they would be answered INTERNAL."""
    from tensorflow_serving.apis import predict_pb2
    from tritonclient.grpc import service_pb2 as pb

    shape = [0, (1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1]
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = "tiny"
    asked.inputs["label"].dtype = tf.int32.as_datatype_enum
    open_asked = pb.ModelInferRequest(model_name="tiny")
    open_asked.inputs.add(name="label", datatype="INT32", shape=shape)
    open_asked.raw_input_contents.append(b"")
    for size in shape:
        asked.inputs["label"].tensor_shape.dim.add(size=size)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for path, message in (
            ("/tensorflow.serving.PredictionService/Predict", asked),
            ("/inference.GRPCInferenceService/ModelInfer", open_asked),
        ):
            with pytest.raises(grpc.RpcError, match="which nothing fits") as caught:
                channel.unary_unary(path)(message.SerializeToString(), timeout=60)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    inputs = [{"name": "label", "shape": shape, "datatype": "INT32", "data": []}]
    status, _, answer = ask(
        server, "/v2/models/tiny/infer", json.dumps({"inputs": inputs}).encode()
    )
    assert (status, "which nothing fits" in json.loads(answer)["error"]) == (400, True)


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
