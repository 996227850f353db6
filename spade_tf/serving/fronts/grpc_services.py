"""gRPC services on raw messages, from the descriptors of the real stubs.

Generated servicers parse each message on the event loop, whatever it holds. These handlers get
bytes instead, measure them, and parse them in a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from spade_tf.serving.bodies import BodyReader
from spade_tf.serving.errors import ServingError, UnsupportedError
from spade_tf.serving.fronts.wire import parse_message

_log = logging.getLogger("spade_tf.serving")

Method = Callable[[Any], Awaitable[Any]]


def service_handler(
    service: ServiceDescriptor, methods: Mapping[str, Method], bodies: BodyReader, refusal: str
) -> grpc.GenericRpcHandler:
    """Handles all methods of a service.

    Args:
        service: its descriptor.
        methods: by name, coroutines from a parsed message to an answer.
        bodies: its threads parse messages.
        refusal: the reason why other methods are not offered.
    """
    handlers = {}
    for method in service.methods:
        name = method.name
        if method.client_streaming or method.server_streaming:
            handlers[name] = grpc.stream_stream_rpc_method_handler(_refuse_stream(name, refusal))
            continue
        answer = methods.get(name) or _refuse(name, refusal)
        kind = GetMessageClass(method.input_type)
        handlers[name] = grpc.unary_unary_rpc_method_handler(_handled(kind, answer, bodies))
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handled(kind: Any, answer: Method, bodies: BodyReader) -> Any:
    async def handle(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            request = await bodies.in_thread(parse_message, kind, message)
            response = await answer(request)
            return await bodies.in_thread(response.SerializeToString)
        except ServingError as error:
            _log.warning("%s: %s", kind.DESCRIPTOR.name, error)
            await context.abort(grpc.StatusCode[error.code], str(error))
        except Exception:
            _log.exception("a fault of the server")
            text = "an error of the server; its log says which"
            await context.abort(grpc.StatusCode.INTERNAL, text)
        raise AssertionError("abort raises")

    return handle


def _refuse(name: str, refusal: str) -> Method:
    async def refuse(_: Any) -> Any:
        raise UnsupportedError(f"{name}: {refusal}")

    return refuse


def _refuse_stream(name: str, refusal: str) -> Any:
    async def refuse(_: Any, context: grpc.aio.ServicerContext) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name}: {refusal}")

    return refuse
