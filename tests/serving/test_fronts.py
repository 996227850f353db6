"""All fronts give the same bytes for the same request and seed."""

import base64
import json
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from served_networks import layouts
from serving_doubles import ServingDouble

from spade_tf.serving.client.client import connect
from spade_tf.training.pictures import encode_png

SEED = 11
LABEL = layouts(1)
FILE = encode_png(LABEL[0].astype(np.uint8))


@pytest.fixture(scope="module")
def double(version):
    with ServingDouble("tiny", version) as double:
        yield double


@pytest.fixture(scope="module")
def expected(signatures):
    """Pixels, and the PNG and JPEG files, from the export in this process."""
    seed = tf.constant([SEED], tf.int64)
    instance = tf.constant(LABEL)
    pixels = signatures["serving_default"](label=tf.constant(LABEL), instance=instance, seed=seed)
    files = {"label_bytes": tf.constant([FILE]), "instance_bytes": tf.constant([FILE])}
    made = [
        signatures[name](**files, seed=seed)["image_bytes"].numpy()[0]
        for name in ("generate_png_bytes", "generate_bytes")
    ]
    return [pixels["image"].numpy(), *made]


def ids():
    return {"label": LABEL, "instance": LABEL, "seed": np.array([SEED], np.int64)}


def files():
    file = np.array([FILE, None], object)[:1]
    return {"label_bytes": file, "instance_bytes": file, "seed": np.array([SEED], np.int64)}


def same(made, expected):
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("front", ["REST v1 of the server", "gRPC of TF Serving's double"])
def test_the_client_gets_the_same_bytes(front, server, double, expected):
    endpoint = server.url if front.startswith("REST") else double.endpoint
    with connect(endpoint, "tiny") as client:
        pixels = client.predict("serving_default", ids())["image"]
        made = [
            client.predict(name, files())["image_bytes"][0]
            for name in ("generate_png_bytes", "generate_bytes")
        ]
    same([pixels, *made], expected)


def ask(server, path, body):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_rows_of_rest_are_the_same_bytes(server, expected):
    encoded = {"b64": base64.b64encode(FILE).decode()}
    row = {"label_bytes": encoded, "instance_bytes": encoded, "seed": SEED}
    made = [
        base64.b64decode(
            ask(
                server,
                "/v1/models/tiny:predict",
                {"signature_name": name, "instances": [row]},
            )["predictions"][0]["b64"]
        )
        for name in ("generate_png_bytes", "generate_bytes")
    ]
    same(made, expected[1:])


def test_the_open_protocol_gives_the_same_bytes(server, expected):
    inputs = [
        {"name": name, "shape": value.shape, "datatype": kind, "data": value.ravel().tolist()}
        for (name, value), kind in zip(ids().items(), ("INT32", "INT32", "INT64"), strict=True)
    ]
    answer = ask(server, "/v2/models/tiny/infer", {"inputs": inputs})
    (image,) = answer["outputs"]
    assert (image["datatype"], image["shape"]) == ("UINT8", list(expected[0].shape))
    np.testing.assert_array_equal(image["data"], expected[0].ravel())
    text = base64.b64encode(FILE).decode()
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name in ("label_bytes", "instance_bytes")
    ]
    inputs.append({"name": "seed", "shape": [1], "datatype": "INT64", "data": [SEED]})
    parameters = {"signature_name": "generate_png_bytes"}
    answer = ask(server, "/v2/models/tiny/infer", {"parameters": parameters, "inputs": inputs})
    assert base64.b64decode(answer["outputs"][0]["data"][0]) == expected[1]


def test_the_open_protocol_over_grpc_gives_the_same_bytes(server, expected):
    import grpc
    from tritonclient.grpc import service_pb2 as pb
    from tritonclient.grpc import service_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = pb.ModelInferRequest(model_name="tiny")
        for (name, value), kind in zip(ids().items(), ("INT32", "INT32", "INT64"), strict=True):
            request.inputs.add(name=name, datatype=kind, shape=value.shape)
            request.raw_input_contents.append(value.tobytes())
        raw = stub.ModelInfer(request, timeout=60).raw_output_contents[0]
        np.testing.assert_array_equal(np.frombuffer(raw, np.uint8), expected[0].ravel())

        request = pb.ModelInferRequest(model_name="tiny")
        request.parameters["signature_name"].string_param = "generate_png_bytes"
        for name in ("label_bytes", "instance_bytes"):
            request.inputs.add(name=name, datatype="BYTES", shape=[1])
            request.raw_input_contents.append(struct.pack("<I", len(FILE)) + FILE)
        request.inputs.add(name="seed", datatype="INT64", shape=[1])
        request.raw_input_contents.append(struct.pack("<q", SEED))
        raw = stub.ModelInfer(request, timeout=60).raw_output_contents[0]
        assert raw[4:] == expected[1]

        bad = pb.ModelInferRequest(model_name="tiny")
        bad.inputs.add(name="label", datatype="FP32", shape=[1])
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(bad, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "label: datatype FP32 received; give INT32"


def names(version, signature):
    """Names of tensors by keys, from the signature as it was saved."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    definition = saved.meta_graphs[0].signature_def[signature]
    return [
        {key: value.name for key, value in side.items()}
        for side in (definition.inputs, definition.outputs)
    ]


def run_cpp(version, tmp_path, signature, inputs):
    """A signature in the C++ runtime, in a process without Python's TensorFlow."""
    given, made = names(version, signature)
    arrays = {}
    for key, value in inputs.items():
        if value.dtype == object:
            arrays[given[key] + "*"] = np.frombuffer(value[0], np.uint8)
        else:
            arrays[given[key]] = value
    np.savez(tmp_path / "inputs.npz", fetch=list(made.values()), **arrays)
    library = Path(tf.__file__).parent / "libtensorflow_cc.so.2"
    script = Path(__file__).parent / "cpp_loader.py"
    arguments = [library, version, tmp_path / "inputs.npz", tmp_path / "outputs.npz"]
    result = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    if result.returncode:
        return result.stderr
    with np.load(tmp_path / "outputs.npz") as file:
        return file["arr_0"]


def test_the_cpp_loader_gives_the_same_bytes(version, tmp_path, expected):
    made = [run_cpp(version, tmp_path, "serving_default", ids())]
    made.append(run_cpp(version, tmp_path, "generate_png_bytes", files()).tobytes())
    same(made, expected[:2])


def test_the_cpp_loader_refuses_with_a_sentence(version, tmp_path):
    # 3 is INVALID_ARGUMENT.
    said = run_cpp(version, tmp_path, "serving_default", ids() | {"label": LABEL + 9})
    assert "code 3" in said
    assert "label: ids 0 to 4, and 255 for unknown, are allowed, received 1" in said


def test_health_metadata_and_metrics(server):
    def get(path):
        with urllib.request.urlopen(server.url + path, timeout=30) as response:
            return response.read().decode()

    assert json.loads(get("/v2/health/live"))["live"]
    assert json.loads(get("/v2/health/ready"))["ready"]
    inputs = json.loads(get("/v2/models/tiny"))["inputs"]
    assert inputs[0] == {"name": "label", "datatype": "INT32", "shape": [-1, -1, -1]}
    assert 'spade_requests_total{code="OK",front="rest_v2"}' in get("/metrics")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"instances": [{"label": (LABEL[0] + 9).tolist()}]}, 400, "label: ids 0 to 4"),
        ({"instances": [{"label": LABEL[0, :32].tolist()}]}, 400, "received 32x64"),
        ({"signature_name": "x", "instances": [1]}, 400, "signature_name: 'x' received"),
        (b"not json", 400, "the body is not JSON"),
        (b"", 400, "the body is not JSON"),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(server, body, status, text):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + "/v1/models/tiny:predict", data)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    with caught.value as answer:
        assert answer.code == status
        error = json.load(answer)["error"]
    assert text in error
    assert "\n" not in error


@pytest.mark.parametrize("kind", ["REST", "gRPC"])
def test_the_client_says_what_the_server_said(kind, server, double):
    from spade_tf.serving.errors import ServingError

    endpoint = server.url if kind == "REST" else double.endpoint
    with connect(endpoint, "tiny") as client:
        with pytest.raises(ServingError, match=r"label: ids 0 to 4.*received 1\d;") as caught:
            client.predict("serving_default", ids() | {"label": LABEL + 10})
        assert "\n" not in str(caught.value)
        assert "assertion" not in str(caught.value)
        assert client.describe("model_card.md") == "# tiny\n"
