"""The embedded server under load.

`python tests/proofs/serving_load.py rate --model=DIR --labels=DIR` measures requests per second,
and the 50th and 99th percentile of the time that one takes, at 1, 4, 16 and 64 clients.

`python tests/proofs/serving_load.py faults --model=DIR` makes 10,000 requests, 5 % of them
malformed in ten ways, and checks every answer: good ones byte by byte against the export in this
process, bad ones for an error of their own. Memory and threads of the server must stay what they
were.

Both start the server themselves, on the loopback, and print JSON lines.
"""

from __future__ import annotations

import argparse
import base64
import collections
import http.client
import json
import random
import select
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from served_process import ServedProcess

BOMB_SIZE = 30_000
RECEIVE_SECONDS = 2


def b64(data: bytes) -> dict[str, str]:
    """A file, as REST takes it."""
    return {"b64": base64.b64encode(data).decode()}


class Case:
    """A good request of a layout and a seed."""

    def __init__(self, label: bytes, seed: int, name: str, instance: bytes | None = None):
        row = {"label_bytes": b64(label), "seed": seed}
        if instance is not None:
            row["instance_bytes"] = b64(instance)
        self.label, self.instance, self.seed = label, instance, seed
        self.path = f"/v1/models/{name}:predict"
        self.files = json.dumps({"signature_name": "generate_png_bytes", "instances": [row]})
        self.jpeg = json.dumps({"signature_name": "generate_bytes", "instances": [row]})
        self.expected: bytes = b""
        self.pixels: np.ndarray = np.empty(0)


def post(connection: http.client.HTTPConnection, path: str, body) -> tuple[int, bytes]:
    """Status and body of an answer."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def measure(server: ServedProcess, cases: list[Case], clients: int, seconds: float) -> dict:
    """Requests per second and percentiles, of clients that each ask again once answered."""
    times: list[float] = []
    wrong: list[str] = []
    different = 0
    barrier = threading.Barrier(clients + 1)
    end = [0.0]

    def ask(number: int) -> None:
        nonlocal different
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        draw = random.Random(number)
        barrier.wait()
        while time.monotonic() < end[0]:
            case = draw.choice(cases)
            start = time.monotonic()
            status, body = post(connection, case.path, case.jpeg)
            times.append(time.monotonic() - start)
            if status != 200:
                wrong.append(body[:200].decode())
            elif body != case.expected:
                different += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    end[0] = start + seconds
    barrier.wait()
    for thread in threads:
        thread.join()
    took = time.monotonic() - start
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "clients": clients,
        "requests": len(times),
        "requests_per_second": round(len(times) / took, 2),
        "p50_ms": round(1000 * p50),
        "p99_ms": round(1000 * p99),
        "errors": len(wrong),
        "answers_unlike_those_alone": different,
    }


def rate(arguments: argparse.Namespace, log: Path) -> None:
    """The `rate` measurement."""
    from PIL import Image

    for micro_batch in arguments.micro_batch:
        with ServedProcess(
            arguments.model,
            log,
            model_name="load",
            micro_batch=micro_batch,
            num_threads=arguments.num_threads,
        ) as server:
            cases = []
            for path in sorted(arguments.labels.glob("*.png")):
                with Image.open(path) as image:
                    assert image.mode == "L", path
                instance = arguments.instances and (arguments.instances / path.name).read_bytes()
                cases.append(Case(path.read_bytes(), len(cases), "load", instance))
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
            for case in cases:
                status, case.expected = post(connection, case.path, case.jpeg)
                assert status == 200, case.expected
            connection.close()
            for clients in arguments.clients:
                seconds = arguments.seconds * (1 + (clients >= 16))
                found = measure(server, cases, clients, seconds)
                settings = {"micro_batch": micro_batch, "num_threads": arguments.num_threads}
                print(json.dumps({**settings, **found}), flush=True)


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

    def __init__(self, server: ServedProcess, case: Case, num_ids: int):
        self.server, self.case = server, case
        self.bomb = bomb()
        label = np.asarray(_pixels(case.label)).astype(np.int32)
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
            "truncated": (file(b64(case.label[:-25])), "truncated or damaged"),
            "empty": (file(b64(b"")), "empty"),
            "wrong signature": (body("paint_me_a_dog", row), "paint_me_a_dog"),
        }

    def send(self, kind: str) -> str | None:
        """Sends one; None if the answer was its own error."""
        if kind in self.plain:
            text, said = self.plain[kind]
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
            status, answer = post(connection, self.case.path, text)
            connection.close()
            return _check(kind, status, answer, 400, said)
        return getattr(self, "_" + kind.replace(" ", "_").lower().replace("100", "large"))(kind)

    def _open(self, length: int | None) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=120)
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        head = f"POST {self.case.path} HTTP/1.1\r\nHost: load\r\n{framing}\r\n"
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
        text = self.case.files.encode()
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


def _pixels(encoded: bytes) -> np.ndarray:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image)


def good_cases(model: Path, count: int) -> tuple[list[Case], int]:
    """Layouts of squares and seeds, with what the export makes of them in this process."""
    import tensorflow as tf

    from spade_tf.serving.model.predictor import Predictor
    from spade_tf.training.pictures import encode_png

    predictor = Predictor(model)
    spec = predictor.outputs["serving_default"]["image"].shape
    height, width = spec[1] or 64, spec[2] or 64
    draw = np.random.default_rng(0)
    num_ids = 1
    while True:
        # The largest id that the model takes.
        label = np.full([1, height, width], num_ids, np.int32)
        try:
            predictor.run("serving_default", _with_defaults(predictor, label))
        except ValueError:
            break
        num_ids += 1
    cases = []
    for seed in range(count):
        squares = draw.integers(0, num_ids, (height // 8, width // 8))
        label = squares.repeat(8, 0).repeat(8, 1)
        case = Case(encode_png(label.astype(np.uint8)), seed, "load")
        inputs = _with_defaults(predictor, label[None].astype(np.int32), seed)
        case.pixels = predictor.run("serving_default", inputs)["image"]
        case.expected = tf.io.encode_png(case.pixels[0]).numpy()
        cases.append(case)
    return cases, num_ids


def _with_defaults(predictor, label, seed=0):
    inputs = {"label": label}
    if "instance" in predictor.inputs["serving_default"]:
        inputs["instance"] = np.zeros([1, 1, 1], np.int32)
    if "seed" in predictor.inputs["serving_default"]:
        inputs["seed"] = np.array([seed], np.int64)
    return inputs


def ask_well(connection, stub, case: Case, front: str) -> str | None:
    """A good request by one of the fronts; None if the answer is right."""
    if front == "REST v1, file":
        status, body = post(connection, case.path, case.files)
        answer = json.loads(body).get("predictions", [{}])[0] if status == 200 else {}
        right = status == 200 and base64.b64decode(answer["b64"]) == case.expected
        return None if right else f"{front}: {status} {body[:200]!r}"
    label = _pixels(case.label).astype(np.int32)[None]
    if front == "REST v1, ids":
        text = json.dumps({"inputs": {"label": label.tolist(), "seed": [case.seed]}})
        status, body = post(connection, case.path, text)
        right = status == 200 and np.array_equal(json.loads(body)["outputs"], case.pixels)
        return None if right else f"{front}: {status} {body[:200]!r}"
    if front == "REST v2":
        inputs = [
            {"name": "label", "shape": label.shape, "datatype": "INT32"},
            {"name": "seed", "shape": [1], "datatype": "INT64", "data": [case.seed]},
        ]
        inputs[0]["data"] = label.ravel().tolist()
        path = "/v2/models/load/infer"
        status, body = post(connection, path, json.dumps({"inputs": inputs}))
        right = status == 200 and np.array_equal(
            json.loads(body)["outputs"][0]["data"], case.pixels.ravel()
        )
        return None if right else f"{front}: {status} {body[:200]!r}"
    from tritonclient.grpc import service_pb2 as pb

    request = pb.ModelInferRequest(model_name="load")
    request.parameters["signature_name"].string_param = "generate_png_bytes"
    for name, kind, data in (
        ("label_bytes", "BYTES", struct.pack("<I", len(case.label)) + case.label),
        ("seed", "INT64", struct.pack("<q", case.seed)),
    ):
        request.inputs.add(name=name, datatype=kind, shape=[1])
        request.raw_input_contents.append(data)
    raw = stub.ModelInfer(request, timeout=120).raw_output_contents[0]
    return None if raw[4:] == case.expected else f"{front}: {raw[:200]!r}"


FRONTS = ("REST v1, file", "REST v1, ids", "REST v2", "gRPC v2")


def faults(arguments: argparse.Namespace, log: Path) -> None:
    """The `faults` proof."""
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    cases, num_ids = good_cases(arguments.model, 64)
    draw = random.Random(arguments.seed)
    bad = [Faults.kinds[i % 10] for i in range(arguments.requests // 20)]
    plan: list[tuple[str, Case]] = [(kind, draw.choice(cases)) for kind in bad]
    plan += [
        (draw.choice(FRONTS), draw.choice(cases)) for _ in range(arguments.requests - len(bad))
    ]
    draw.shuffle(plan)
    problems: list[str] = []
    counts: collections.Counter[str] = collections.Counter()
    local = threading.local()
    with ServedProcess(
        arguments.model, log, model_name="load", receive_seconds=RECEIVE_SECONDS
    ) as server:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        sender = Faults(server, cases[0], num_ids)

        def run(item: tuple[str, Case]) -> None:
            kind, case = item
            try:
                if kind in Faults.kinds:
                    problem = sender.send(kind)
                else:
                    if not hasattr(local, "connection"):
                        local.connection = http.client.HTTPConnection(
                            "127.0.0.1", server.port, timeout=120
                        )
                    problem = ask_well(local.connection, stub, case, kind)
            except Exception as error:
                local.__dict__.clear()
                problem = f"{kind}: {error!r}"
            counts[kind] += 1
            if problem is not None:
                problems.append(problem)

        def state() -> dict[str, float]:
            rss, peak, threads = server.status()
            return {
                "rss_mib": round(rss),
                "peak_mib": round(peak),
                "threads": threads,
                "descriptors": server.descriptors(),
            }

        states = []
        with ThreadPoolExecutor(arguments.num_clients) as pool:
            # Threads and caches come with the first of each kind.
            list(pool.map(run, [(kind, cases[0]) for kind in (*Faults.kinds, *FRONTS) * 10]))
            counts.clear()
            time.sleep(3)
            states.append({"after": 0, **state()})
            start = time.monotonic()
            for part in range(10):
                size = len(plan) // 10
                list(pool.map(run, plan[part * size : (part + 1) * size]))
                states.append({"after": (part + 1) * size, **state()})
                print(json.dumps(states[-1]), flush=True)
            took = time.monotonic() - start
        time.sleep(3)
        states.append({"after": "rest", **state()})
    text = log.read_text()
    summary = {
        "requests": sum(counts.values()),
        "bad": sum(counts[kind] for kind in Faults.kinds),
        "wrong": len(problems),
        "problems": problems[:5],
        "requests_per_second": round(len(plan) / took, 1),
        "before": states[0],
        "at rest": states[-1],
        "tracebacks in the log": text.count("Traceback"),
        "exit status": server.process.returncode,
        "counts": dict(counts),
    }
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rate", "faults"])
    parser.add_argument("--model", type=Path, required=True, help="an export")
    parser.add_argument("--labels", type=Path, help="rate: folder of label map PNGs")
    parser.add_argument("--instances", type=Path, help="rate: folder of instance PNGs")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--micro_batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="rate: twice from 16 clients")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--num_clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (rate if given.what == "rate" else faults)(given, Path(folder) / "log")
