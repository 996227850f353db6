"""Stand-ins for TF Serving on its real stubs. They get the same messages as the real server."""

from __future__ import annotations

import re
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class PredictionDouble(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`PredictionService.Predict` around `tf.saved_model.load`."""

    def __init__(self, name, version):
        self.name = name
        self.signatures = tf.saved_model.load(str(version)).signatures
        # Codes that the next calls fail with.
        self.failures: list[grpc.StatusCode] = []
        self.calls = 0

    def Predict(self, request, context):
        self.calls += 1
        if self.failures:
            context.abort(self.failures.pop(0), "as the test wants it")
        if request.model_spec.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
        signature = self.signatures.get(request.model_spec.signature_name or "serving_default")
        if signature is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Serving signature not found")
        wanted = signature.structured_input_signature[1]
        if set(wanted) != set(request.inputs):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        inputs = {
            key: tf.constant(tf.make_ndarray(value), wanted[key].dtype)
            for key, value in request.inputs.items()
        }
        try:
            outputs = signature(**inputs)
        except tf.errors.InvalidArgumentError as error:
            # The C++ runtime's message has no places in Python code.
            said = re.search(r"^(assertion failed.*|Invalid .*)$", str(error), re.MULTILINE)
            text = said[1] if said else str(error)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{text}\n\t [[{{{{node Assert}}}}]]")
        response = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response


class ModelDouble(model_service_pb2_grpc.ModelServiceServicer):
    """`ModelService.GetModelStatus`."""

    def GetModelStatus(self, request, context):
        available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        return get_model_status_pb2.GetModelStatusResponse(
            model_version_status=[{"version": 1, "state": available}]
        )


class ServingDouble:
    """Both services on a free port, until the `with` block ends."""

    def __init__(self, name, version):
        self.prediction = PredictionDouble(name, version)
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            self.prediction, self.server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelDouble(), self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.endpoint = f"grpc://127.0.0.1:{self.port}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None)
