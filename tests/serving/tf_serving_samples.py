"""What a user of TensorFlow Serving runs against a server, as its documentation has it.

`python tf_serving_samples.py REST_PORT GRPC_PORT MODEL LABEL.npy SEED OUTPUT.npz`: a process that
knows nothing of this project.

Reference: https://www.tensorflow.org/tfx/serving/api_rest and
https://www.tensorflow.org/tfx/serving/serving_basic
"""

import base64
import io
import json
import sys

import grpc
import numpy as np
import requests
import tensorflow as tf
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.wrappers_pb2 import Int64Value
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from PIL import Image
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def refusal(call, request):
    """The error that a call fails with."""
    try:
        call(request, 60.0)
    except grpc.RpcError as error:
        return error
    raise SystemExit(f"{request}: answered")


rest_port, grpc_port, model, label_path, seed, output = sys.argv[1:]
label = np.load(label_path)
seed = int(seed)
url = f"http://localhost:{rest_port}/v1/models/{model}"
made = {}

# Model status, as docs/api_rest shows it.
for path in ("", "/versions/1", "/labels/stable"):
    status = requests.get(url + path, timeout=60).json()
    assert status == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }, status
for path in ("/versions/7", "/labels/canary"):
    answer = requests.get(url + path, timeout=60)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])

# Model metadata.
for path in ("", "/versions/1", "/labels/stable"):
    metadata = requests.get(f"{url}{path}/metadata", timeout=60).json()
    assert metadata["model_spec"] == {"name": model, "signature_name": "", "version": "1"}
    definitions = metadata["metadata"]["signature_def"]["signature_def"]
    assert definitions["serving_default"]["inputs"]["label"]["dtype"] == "DT_INT32"
    sizes = definitions["serving_default"]["inputs"]["label"]["tensor_shape"]["dim"]
    assert [each["size"] for each in sizes] == ["-1", "-1", "-1"]
    assert definitions["serving_default"]["method_name"] == "tensorflow/serving/predict"

# Predict, in the row format and in the column format.
rows = [{"label": label[0].tolist(), "instance": label[0].tolist(), "seed": seed}]
data = json.dumps({"signature_name": "serving_default", "instances": rows})
for path in ("", "/versions/1", "/labels/stable"):
    response = requests.post(f"{url}{path}:predict", data=data, timeout=60)
    response.raise_for_status()
    made["rows" + path] = np.array(response.json()["predictions"], np.uint8)
columns = {"label": label.tolist(), "instance": label.tolist(), "seed": [seed]}
response = requests.post(f"{url}:predict", json={"inputs": columns}, timeout=60)
made["columns"] = np.array(response.json()["outputs"], np.uint8)
buffer = io.BytesIO()
Image.fromarray(label[0].astype(np.uint8)).save(buffer, "PNG")
# encodebytes breaks lines, as many clients do.
encoded = {"b64": base64.encodebytes(buffer.getvalue()).decode()}
row = {"label_bytes": encoded, "instance_bytes": encoded, "seed": seed}
body = {"signature_name": "generate_png_bytes", "instances": [row]}
response = requests.post(f"{url}:predict", json=body, timeout=60)
made["png"] = np.frombuffer(base64.b64decode(response.json()["predictions"][0]["b64"]), np.uint8)
answer = requests.post(f"{url}/versions/7:predict", data=data, timeout=60)
assert answer.status_code == 404
assert "version 7" in answer.json()["error"]
answer = requests.post(f"{url}:classify", data=data, timeout=60)
assert answer.status_code == 501
assert "predict" in answer.json()["error"]

# gRPC, as mnist_client.py has it.
channel = grpc.insecure_channel(f"localhost:{grpc_port}")
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
request = predict_pb2.PredictRequest()
request.model_spec.name = model
request.model_spec.signature_name = "serving_default"
request.inputs["label"].CopyFrom(tf.make_tensor_proto(label, shape=label.shape))
request.inputs["instance"].CopyFrom(tf.make_tensor_proto(label.astype(np.int32)))
request.inputs["seed"].CopyFrom(tf.make_tensor_proto([seed], dtype=tf.int64))
result = stub.Predict(request, 60.0)
assert result.model_spec.version.value == 1
made["grpc"] = tf.make_ndarray(result.outputs["image"])
request.model_spec.version.value = 1
made["grpc version"] = tf.make_ndarray(stub.Predict(request, 60.0).outputs["image"])
request.model_spec.version.CopyFrom(Int64Value(value=7))
assert refusal(stub.Predict, request).code() == grpc.StatusCode.NOT_FOUND
request.model_spec.version_label = "stable"
request.output_filter.append("image")
made["grpc label"] = tf.make_ndarray(stub.Predict(request, 60.0).outputs["image"])

asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
asked.model_spec.name = model
answered = stub.GetModelMetadata(asked, 60.0)
signatures = get_model_metadata_pb2.SignatureDefMap()
answered.metadata["signature_def"].Unpack(signatures)
assert "generate_png_bytes" in signatures.signature_def

models = model_service_pb2_grpc.ModelServiceStub(channel)
asked = get_model_status_pb2.GetModelStatusRequest()
asked.model_spec.name = model
(status,) = models.GetModelStatus(asked, 60.0).model_version_status
assert (status.version, status.state) == (1, status.AVAILABLE)
error = refusal(models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
assert error.code() == grpc.StatusCode.UNIMPLEMENTED
assert "folder" in error.details()

health = health_pb2_grpc.HealthStub(channel)
for name in ("", "tensorflow.serving.PredictionService"):
    answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

reflection = ProtoReflectionDescriptorDatabase(channel)
assert "tensorflow.serving.PredictionService" in reflection.get_services()
pool = DescriptorPool(reflection)
service = pool.FindServiceByName("tensorflow.serving.PredictionService")
assert "Predict" in service.methods_by_name

np.savez(output, **made)
