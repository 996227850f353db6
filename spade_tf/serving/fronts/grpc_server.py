"""The gRPC front: TF Serving's services, the open inference protocol, health and reflection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
)
from tritonclient.grpc import service_pb2

from spade_tf.serving.dispatch import Dispatch, Target
from spade_tf.serving.errors import BadRequestError, MissingError, UnavailableError
from spade_tf.serving.fronts.grpc_services import service_handler
from spade_tf.serving.fronts.model_metadata import metadata_message, status_message
from spade_tf.serving.fronts.open_inference import (
    check_input,
    chosen_outputs,
    datatype_of,
    from_raw,
    from_values,
    strings,
    to_raw,
)
from spade_tf.serving.fronts.rest_server import open_metadata
from spade_tf.serving.fronts.tensor_messages import from_tensor, to_tensors
from spade_tf.serving.requests import Request, Specs, make_request, signature_specs
from spade_tf.version import __version__

_PREDICTION = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
_MODELS = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
_OPEN = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class GrpcServer:
    """Answers by gRPC.

    Args:
        dispatch: finds the answers.
        port: port to listen on; 0 for any free port.
        host: address to listen on.

    Attributes:
        port: the port that it listens on.

    Raises:
        OSError: if the port is taken.
    """

    def __init__(self, dispatch: Dispatch, port: int, host: str = "[::]"):
        limits = [
            ("grpc.max_receive_message_length", dispatch.limits.max_body_bytes),
            # Answers with pictures are larger than requests.
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server on this port would get half of the requests, without error.
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=limits)
        self._health = health.aio.HealthServicer()
        services = (_PREDICTION, _MODELS, _OPEN)
        self._names = ("", *(each.full_name for each in services))
        self._server.add_generic_rpc_handlers(_handlers(dispatch))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (
                *self._names[1:],
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                reflection.SERVICE_NAME,
            ),
            self._server,
        )
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise OSError(f"--grpc_port={port}: something else listens there; give another")

    async def start(self) -> None:
        """Starts to answer. Health says NOT_SERVING until a model is loaded."""
        await self.set_ready(False)
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Sets what grpc.health.v1 reports: whether a model is loaded."""
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._health.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, seconds: float) -> None:
        """Accepts no more requests, and gives running ones some time to finish."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(seconds)


def _handlers(dispatch: Dispatch) -> tuple[Any, ...]:
    """What answers the calls of TF Serving's services, and of the open inference protocol."""
    bodies = dispatch.bodies
    tf_serving, open_inference = _TfServing(dispatch), _OpenInference(dispatch)
    return (
        service_handler(
            _PREDICTION,
            {"Predict": tf_serving.predict, "GetModelMetadata": tf_serving.metadata},
            bodies,
            "this model makes pictures; ask Predict, with a signature_name",
        ),
        service_handler(
            _MODELS,
            {"GetModelStatus": tf_serving.status},
            bodies,
            "put a version into the model's folder, and it is served",
        ),
        service_handler(
            _OPEN,
            {
                "ServerLive": open_inference.live,
                "ServerReady": open_inference.ready,
                "ModelReady": open_inference.model_ready,
                "ServerMetadata": open_inference.server_metadata,
                "ModelMetadata": open_inference.metadata,
                "ModelInfer": open_inference.infer,
                "RepositoryIndex": open_inference.index,
            },
            bodies,
            "not offered; models change by their folder, and requests are answered by ModelInfer",
        ),
    )


class _TfServing:
    def __init__(self, dispatch: Dispatch):
        self._dispatch = dispatch
        self._versions = dispatch.versions

    async def predict(self, message: Any) -> Any:
        dispatch = self._dispatch

        async def read(specs):
            return await dispatch.bodies.in_thread(self._read, message, specs)

        asked, answer = await dispatch.predict("grpc", _target(message), read, lambda asked: asked)
        return await dispatch.bodies.in_thread(self._answer, message, asked, answer)

    def _read(self, message: Any, specs: Specs) -> Request:
        values = {key: from_tensor(key, tensor) for key, tensor in message.inputs.items()}
        signature = message.model_spec.signature_name or "serving_default"
        return make_request(signature, values, specs, self._dispatch.limits)

    def _answer(self, message, asked, answer):
        response = predict_pb2.PredictResponse()
        response.model_spec.name = message.model_spec.name
        response.model_spec.version.value = answer.version
        response.model_spec.signature_name = asked.signature
        to_tensors(chosen_outputs(answer.outputs, list(message.output_filter)), response.outputs)
        return response

    async def metadata(self, message: Any) -> Any:
        if list(message.metadata_field) != ["signature_def"]:
            raise BadRequestError(
                f"metadata_field: {list(message.metadata_field)[:3]} received; give signature_def"
            )
        servable = self._versions.find(*_target(message))
        return metadata_message(servable, message.model_spec.name)

    async def status(self, message: Any) -> Any:
        return status_message(self._versions.statuses(*_target(message)))


def _target(message: Any) -> Target:
    spec = message.model_spec
    version = spec.version.value if spec.HasField("version") else None
    return Target(spec.name, version, spec.version_label)


class _OpenInference:
    def __init__(self, dispatch: Dispatch):
        self._dispatch = dispatch
        self._versions = dispatch.versions

    async def live(self, _: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    async def ready(self, _: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=self._versions.ready)

    async def model_ready(self, message: Any) -> Any:
        try:
            self._versions.find(*_open_target(message.name, message.version))
        except UnavailableError:
            return service_pb2.ModelReadyResponse(ready=False)
        return service_pb2.ModelReadyResponse(ready=True)

    async def server_metadata(self, _: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name="spade-tf", version=__version__)

    async def metadata(self, message: Any) -> Any:
        servable = self._versions.find(*_open_target(message.name, message.version))
        found = open_metadata(servable, self._versions.name)
        # The message has no place for the other signatures.
        del found["signatures"]
        return service_pb2.ModelMetadataResponse(**found)

    async def index(self, message: Any) -> Any:
        models = self._versions.index(message.ready)
        return service_pb2.RepositoryIndexResponse(models=models)

    async def infer(self, message: Any) -> Any:
        dispatch = self._dispatch

        async def read(specs):
            return await dispatch.bodies.in_thread(self._read, message, specs)

        target = _open_target(message.model_name, message.model_version)
        _, answer = await dispatch.predict("grpc_v2", target, read, lambda asked: asked)
        return await dispatch.bodies.in_thread(self._answer, message, answer)

    def _read(self, message: Any, specs: Specs) -> Request:
        named = message.parameters["signature_name"].string_param
        signature = named or "serving_default"
        wanted = signature_specs(signature, specs)
        raw = message.raw_input_contents
        if raw and len(raw) != len(message.inputs):
            raise BadRequestError(
                f"raw_input_contents: {len(raw)} received, and there are {len(message.inputs)} "
                "inputs; give one for each"
            )
        values: dict[str, np.ndarray] = {}
        for index, given in enumerate(message.inputs):
            shape = _shape(given)
            check_input(given.name, given.datatype, shape, values, wanted)
            if raw:
                values[given.name] = from_raw(given.name, given.datatype, shape, raw[index])
            else:
                values[given.name] = _typed(given, shape)
        return make_request(signature, values, specs, self._dispatch.limits)

    def _answer(self, message: Any, answer: Any) -> Any:
        response = service_pb2.ModelInferResponse(
            model_name=self._versions.name, model_version=str(answer.version), id=message.id
        )
        wanted = [output.name for output in message.outputs]
        for key, value in chosen_outputs(answer.outputs, wanted).items():
            dtype = "string" if value.dtype == object else value.dtype.name
            response.outputs.add(name=key, datatype=datatype_of(dtype), shape=value.shape)
            response.raw_output_contents.append(to_raw(value))
        return response


def _open_target(name: str, version: str) -> Target:
    if version and not (version.isascii() and version.isdecimal() and len(version) < 19):
        raise MissingError(f"version {version[:20]!r} of {name[:80]} is not served; give a number")
    return Target(name, int(version) if version else None)


def _shape(given: Any) -> Sequence[int]:
    shape = list(given.shape)
    if any(size < 0 or size >= 1 << 31 for size in shape):
        raise BadRequestError(f"{given.name[:80]}: shape {shape[:9]} received; give sizes")
    return shape


# Fields of a message's contents, by datatype.
_CONTENTS: Mapping[str, str] = {
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_PIECE = 1 << 16


def _typed(given: Any, shape: Sequence[int]) -> np.ndarray:
    """Reads an input with typed contents, in pieces of some milliseconds."""
    contents = getattr(given.contents, _CONTENTS[given.datatype])
    if given.datatype == "BYTES":
        if len(contents) != int(np.prod(shape)):
            raise BadRequestError(
                f"{given.name}: {len(contents)} strings received; give those of shape {shape}"
            )
        return strings(list(contents), shape)
    parts = [
        np.asarray(contents[start : start + _PIECE])
        for start in range(0, max(len(contents), 1), _PIECE)
    ]
    return from_values(given.name, given.datatype, shape, np.concatenate(parts))
