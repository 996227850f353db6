"""TF Serving's gRPC interface."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from spade_tf.serving.client.client import Arrays, TransportError
from spade_tf.serving.errors import sentence

# Other codes mean that the request is wrong, or that time is up.
RETRYABLE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
)


class GrpcTransport:
    """Calls of `PredictionService.Predict`.

    Args:
        address: `HOST:PORT`.
        model_name: the server's name for the model.
    """

    def __init__(self, address: str, model_name: str):
        self.address = address
        self.model_name = model_name
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # The client makes its own attempts.
            ("grpc.enable_retries", 0),
        ]
        self._channel = grpc.insecure_channel(address, options=unlimited)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def __str__(self) -> str:
        """The address of the server."""
        return f"grpc://{self.address}"

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> Arrays:
        """Returns the outputs of a signature.

        Args:
            signature: name of the signature.
            inputs: arrays by key; arrays of objects for bytes.
            seconds: time limit.

        Raises:
            TransportError: if it fails.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model_name
        request.model_spec.signature_name = signature
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = self._stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
            raise TransportError(
                f"{code.name}: {sentence(details)}", retryable=code in RETRYABLE
            ) from error
        return {key: tf.make_ndarray(value) for key, value in response.outputs.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()
