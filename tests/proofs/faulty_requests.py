"""Ten ways to send a bad request to the embedded server, and what its answers must say."""

from __future__ import annotations

import base64
import http.client
import io
import json
import random
import select
import socket
import struct
import zlib

import numpy as np
from PIL import Image
from served_process import ServedProcess

BOMB_SIZE = 30_000


def b64(data: bytes) -> dict[str, str]:
    """A file, as REST takes it."""
    return {"b64": base64.b64encode(data).decode()}


def post(connection: http.client.HTTPConnection, path: str, body) -> tuple[int, bytes]:
    """Status and body of an answer."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def pixels(encoded: bytes) -> np.ndarray:
    """What an image file holds."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image)


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels, all of id 0, in less than a megabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", BOMB_SIZE, BOMB_SIZE, 8, 0, 0, 0, 0)
    packer, row = zlib.compressobj(9), bytes(BOMB_SIZE + 1)
    parts = [packer.compress(row) for _ in range(BOMB_SIZE)]
    data = b"".join(parts) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


class Faults:
    """Ten ways to send a bad request; each returns what was wrong with the answer, or None."""

    kinds = (
        "bad base64",
        "PNG bomb",
        "wrong dtype",
        "id out of range",
        "truncated",
        "empty",
        "wrong signature",
        "100 MB body",
        "slow sender",
        "disconnect",
    )

    def __init__(self, server: ServedProcess, path: str, label_file: bytes, num_ids: int):
        self.server, self.path = server, path
        self.bomb = bomb()
        label = pixels(label_file).astype(np.int32)
        row = {"label": label.tolist()}
        too_large = np.full_like(label, num_ids)

        def body(signature: str, row: dict) -> str:
            return json.dumps({"signature_name": signature, "instances": [row]})

        def file(data: dict) -> str:
            return body("generate_png_bytes", {"label_bytes": data})

        self.plain = {
            "bad base64": (file({"b64": "@@not base64@@"}), "not base64"),
            "PNG bomb": (file(b64(self.bomb)), "30000x30000 pixels"),
            "wrong dtype": (body("serving_default", {"label": (label + 0.5).tolist()}), "float64"),
            "id out of range": (
                body("serving_default", {"label": too_large.tolist()}),
                f"received {num_ids}",
            ),
            "truncated": (file(b64(label_file[:-25])), "truncated or damaged"),
            "empty": (file(b64(b"")), "empty"),
            "wrong signature": (body("paint_me_a_dog", row), "paint_me_a_dog"),
        }

    def send(self, kind: str) -> str | None:
        """Sends one; None if the answer was its own error."""
        if kind in self.plain:
            text, said = self.plain[kind]
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
            status, answer = post(connection, self.path, text)
            connection.close()
            return _check(kind, status, answer, 400, said)
        return getattr(self, "_" + kind.replace(" ", "_").lower().replace("100", "large"))(kind)

    def _open(self, length: int | None) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=120)
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        head = f"POST {self.path} HTTP/1.1\r\nHost: load\r\n{framing}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n")
        return connection

    def _large_mb_body(self, kind: str) -> str | None:
        total, part = 100_000_000, b" " * 65_536
        chunked = random.random() < 0.5
        with self._open(None if chunked else total) as connection:
            sent = 0
            while sent < total and not select.select([connection], [], [], 0)[0]:
                try:
                    if chunked:
                        connection.sendall(b"%x\r\n" % len(part) + part + b"\r\n")
                    else:
                        connection.sendall(part[: total - sent])
                except OSError:
                    break
                sent += len(part)
            status, answer = _read(connection)
        return _check(kind, status, answer, 413, "are taken at most")

    def _slow_sender(self, kind: str) -> str | None:
        with self._open(1000) as connection:
            while not select.select([connection], [], [], 0.25)[0]:
                connection.sendall(b" ")
            status, answer = _read(connection)
        return _check(kind, status, answer, 408, "did not arrive within")

    def _disconnect(self, kind: str) -> str | None:
        text = self.plain["truncated"][0].encode()
        with self._open(len(text)) as connection:
            connection.sendall(text[: len(text) // 2])
            # At once, and without a goodbye.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return None


def _read(connection: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode()


def _check(kind, status, answer, wanted, said) -> str | None:
    try:
        error = json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        error = ""
    if status == wanted and said in error and "Traceback" not in error and "\n" not in error:
        return None
    return f"{kind}: {status} {answer[:200]!r}"
