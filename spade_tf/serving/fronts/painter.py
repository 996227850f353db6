"""The painter: a page on which label maps are painted, and what the page asks the server for.

Files of the page are read once, at the start, into a table. No part of a request is ever used as
a path. What the page asks for is answered to pages of this server alone.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import re
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spade_tf.serving.dispatch import Dispatch, Target
from spade_tf.serving.errors import BadRequestError, ForbiddenError, UnsupportedError
from spade_tf.serving.fronts.painted_model import PaintedModel, painted_model, style_sizes
from spade_tf.serving.model.drafts import draft_request
from spade_tf.serving.model.predictor import whole_style
from spade_tf.serving.requests import Request, make_request

Result = TypeVar("Result")
Sampler = Callable[[int], np.ndarray]

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Answers depend on the model, which may be replaced; files of the page on the release.
_FRESH = {"Cache-Control": "no-store"}
# Names of this machine for itself.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FRONT = "painter"


class Painter(NamedTuple):
    """The painter of a server.

    Attributes:
        samples: from class names, height and width to a function that makes a sample layout, uint8
            `[height, width]`, of a seed; or to None where there are no samples. None for none.
        local: whether requests must name this machine as the host, as they do unless another site
            has had its own name point to this machine.
    """

    samples: Callable[[Sequence[str], int, int], Sampler | None] | None = None
    local: bool = True


def painter_routes(dispatch: Dispatch, painter: Painter) -> list[Route]:
    """Routes of the page at `/`, of its files, and of what it asks for.

    Args:
        dispatch: finds the answers.
        painter: the options.
    """
    front = _Painter(dispatch, painter)
    return [
        Route("/", front.page),
        *(
            Route(f"/painter/api/{name}", front.guarded(action), methods=[method])
            for name, action, method in (
                ("model", front.model, "GET"),
                ("style", front.style, "GET"),
                ("sample", front.sample, "GET"),
                ("photograph", front.photograph, "POST"),
                ("picture", front.picture, "POST"),
            )
        ),
        Route("/painter/{name}", front.file),
    ]


class _File(NamedTuple):
    content: bytes
    headers: dict[str, str]


@functools.cache
def _files() -> dict[str, _File]:
    """The files of the page, by name."""
    found = {}
    for path in resources.files("spade_tf.serving").joinpath("painter").iterdir():
        kind = _TYPES.get(path.name.rpartition(".")[2])
        if kind is not None:
            content = path.read_bytes()
            headers = {
                **_HEADERS,
                "Cache-Control": "no-cache",
                "Content-Type": f"{kind}; charset=utf-8",
                "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            }
            found[path.name] = _File(content, headers)
    return found


class _Painter:
    def __init__(self, dispatch: Dispatch, painter: Painter):
        self._dispatch = dispatch
        self._target = Target(dispatch.versions.name)
        self._painter = painter
        self._files = _files()

    async def page(self, request: HttpRequest) -> Response:
        return _file_answer(request, self._files["index.html"])

    async def file(self, request: HttpRequest) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return _file_answer(request, file)

    def guarded(self, action: Callable[[HttpRequest], Awaitable[Response]]) -> Any:
        """An action that answers pages of this server alone, until they leave."""

        async def answer(request: HttpRequest) -> Response:
            _check_origin(request, self._painter.local)
            response = await _unless_gone(request, action(request))
            if response is None:
                # Nobody reads it.
                return Response(status_code=499)
            response.headers.update({**_HEADERS, **_FRESH})
            return response

        return answer

    async def model(self, _: HttpRequest) -> Response:
        limits = self._dispatch.limits
        with self._dispatch.versions.find(*self._target) as servable:
            model = painted_model(servable.predictor)
            content = {
                "name": self._target.name,
                "version": servable.number,
                "classes": [
                    {"name": name, "color": color}
                    for name, color in zip(model.class_names, model.colors, strict=True)
                ],
                "height": model.height,
                "width": model.width,
                "styles": model.z_dim,
                "class_styles": model.class_style_dim,
                "photographs": model.has_encoder,
                "drafts": model.has_drafts,
                "samples": self._sampler(model) is not None,
                "files": model.files,
                "largest": {"bytes": limits.max_body_bytes, "pixels": limits.max_pixels},
            }
        return JSONResponse(content)

    async def style(self, request: HttpRequest) -> Response:
        seed = _integer(request, "seed", -(1 << 63), (1 << 63) - 1)
        metrics = self._dispatch.metrics
        with metrics.request(_FRONT), self._dispatch.versions.find(*self._target) as servable:
            model = painted_model(servable.predictor)
            if not model.z_dim:
                raise UnsupportedError("this model has one style only; ask for pictures alone")
            z = await self._dispatch.bodies.in_thread(
                servable.predictor.style_of_seed, seed, (model.height, model.width)
            )
        return _floats(z)

    async def sample(self, request: HttpRequest) -> Response:
        seed = _integer(request, "seed", 0, (1 << 31) - 1)
        with self._dispatch.versions.find(*self._target) as servable:
            sampler = self._sampler(painted_model(servable.predictor))
        if sampler is None:
            raise UnsupportedError("there are no sample layouts for this model; paint one")
        label = await self._dispatch.bodies.in_thread(sampler, seed)
        return _octets(np.ascontiguousarray(label, np.uint8).tobytes())

    async def photograph(self, request: HttpRequest) -> Response:
        body = await request.body()
        limits = self._dispatch.limits

        async def read(specs) -> Request:
            values = {"image_bytes": [body]}
            return await self._dispatch.bodies.in_thread(
                make_request, "encode_style", values, specs, limits
            )

        _, answer = await self._dispatch.predict(_FRONT, self._target, read, lambda asked: asked)
        return _floats(whole_style(answer.outputs))

    async def picture(self, request: HttpRequest) -> Response:
        size = _integer(request, "height", 1, 1 << 16), _integer(request, "width", 1, 1 << 16)
        kind = request.query_params.get("format", "png")
        if kind not in ("png", "jpeg"):
            raise BadRequestError(f"format: {kind[:40]!r} received; give png or jpeg")
        body = await request.body()
        drawing = _drawing(request)

        async def read(specs) -> Request:
            signature, values = picture_values(body, size, specs)
            made = make_request(signature, values, specs, self._dispatch.limits)
            return draft_request(made, drawing, exact=kind == "png") if drawing else made

        _, answer = await self._dispatch.predict(_FRONT, self._target, read, lambda asked: asked)
        encoded = await self._dispatch.bodies.in_thread(_encode, answer.outputs["image"][0], kind)
        return Response(encoded, media_type=f"image/{kind}")

    def _sampler(self, model: PaintedModel) -> Sampler | None:
        samples = self._painter.samples
        return samples and samples(model.class_names, model.height, model.width)


def picture_values(body: bytes, size: tuple[int, int], specs) -> tuple[str, dict[str, Any]]:
    """The signature that makes a picture of a painted map, and its inputs.

    Args:
        body: ids, one byte per pixel, row by row; then, of models with styles, the style as
            little-endian float32.
        size: height and width of the map.
        specs: specs of the model's inputs.

    Raises:
        BadRequestError: if the body has another length.
    """
    signature = "generate_with_style" if "generate_with_style" in specs else "serving_uint8"
    wanted = specs[signature]
    if "label" not in wanted:
        raise BadRequestError("this model takes continuous maps, which are not painted")
    sizes = style_sizes(wanted)
    z_dim = sum(sizes.values())
    height, width = size
    length = height * width + 4 * z_dim
    if len(body) != length:
        style = f", and {z_dim} numbers of 4 bytes for the style" if z_dim else ""
        raise BadRequestError(
            f"{len(body)} bytes received; a map of {height}x{width} (height x width) takes one "
            f"byte per pixel{style}: {length} in all"
        )
    label = np.frombuffer(body, np.uint8, height * width).reshape(1, height, width)
    values: dict[str, Any] = {"label": label.astype(wanted["label"].dtype)}
    offset = height * width
    for key, count in sizes.items():
        shape = [1, *wanted[key].shape[1:]]
        values[key] = np.frombuffer(body, "<f4", count, offset).reshape(shape)
        offset += 4 * count
    if "instance" in wanted:
        # Edges between classes. Nobody paints where one tree ends and the next begins.
        values["instance"] = label.astype(np.int32)
    return signature, values


def _check_origin(request: HttpRequest, local: bool) -> None:
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    # Browsers that name no site still name the origin of what is sent.
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    ):
        raise ForbiddenError("the painter answers its own page alone; open the page of this server")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if local and name not in LOOPBACK:
        raise ForbiddenError(
            f"this painter is for this machine, and {host[:80]!r} was asked; open it at "
            "http://127.0.0.1 and its port, or start serve with --host=0.0.0.0 to paint from "
            "other machines"
        )


async def _unless_gone(request: HttpRequest, work: Awaitable[Result]) -> Result | None:
    """What the work gives; None if the client leaves before. Work that waits is then dropped."""
    await request.body()
    asking, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
        return await asking if asking.done() else None
    finally:
        for task in (asking, leaving):
            task.cancel()
        await asyncio.gather(asking, leaving, return_exceptions=True)


async def _left(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _integer(request: HttpRequest, name: str, least: int, most: int) -> int:
    text = request.query_params.get(name, "")
    # Twenty characters hold every number of 64 bits.
    if text.isascii() and text[text.startswith("-") :].isdecimal() and len(text) <= 20:
        number = int(text)
        if least <= number <= most:
            return number
    raise BadRequestError(f"{name}: {text[:40]!r} received; give a whole number, {least} to {most}")


def _drawing(request: HttpRequest) -> str:
    """The name of what is drawn, which the page made up; empty for none."""
    text = request.query_params.get("drawing", "")
    if re.fullmatch("[0-9a-f]{32}|", text) is None:
        raise BadRequestError(f"drawing: {text[:40]!r} received; give 32 digits or letters a to f")
    return text


def _encode(image: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    # While somebody draws, time matters more than the last bits.
    options = {"quality": 90} if kind == "jpeg" else {"compress_level": 1}
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def _floats(values: np.ndarray) -> Response:
    return _octets(np.asarray(values, "<f4").tobytes())


def _octets(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _file_answer(request: HttpRequest, file: _File) -> Response:
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return Response(status_code=304, headers=file.headers)
    return Response(file.content, headers=file.headers)
