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
import struct
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from faulty_requests import Faults, b64, pixels, post
from served_process import ServedProcess

RECEIVE_SECONDS = 2


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
    label = pixels(case.label).astype(np.int32)[None]
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


class Sender:
    """Sends requests, good and bad, from many threads.

    Attributes:
        counts: requests sent, by kind.
        problems: a line for each wrong answer.
    """

    def __init__(self, server: ServedProcess, case: Case, num_ids: int):
        import grpc
        from tritonclient.grpc import service_pb2_grpc

        self.server = server
        self.counts: collections.Counter[str] = collections.Counter()
        self.problems: list[str] = []
        self._faults = Faults(server, case.path, case.label, num_ids)
        self._local = threading.local()
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def send(self, item: tuple[str, Case]) -> None:
        """A bad request by its kind, or a good one by the front it is for."""
        kind, case = item
        try:
            if kind in Faults.kinds:
                problem = self._faults.send(kind)
            else:
                if not hasattr(self._local, "connection"):
                    self._local.connection = http.client.HTTPConnection(
                        "127.0.0.1", self.server.port, timeout=120
                    )
                problem = ask_well(self._local.connection, self._stub, case, kind)
        except Exception as error:
            self._local.__dict__.clear()
            problem = f"{kind}: {error!r}"
        self.counts[kind] += 1
        if problem is not None:
            self.problems.append(problem)


def state(server: ServedProcess, after: int | str) -> dict[str, int | str]:
    """Memory, threads and open files of a server."""
    rss, peak, threads = server.status()
    found = {"rss_mib": round(rss), "peak_mib": round(peak), "threads": threads}
    return {"after": after, **found, "descriptors": server.descriptors()}


def faults(arguments: argparse.Namespace, log: Path) -> None:
    """The `faults` proof."""
    cases, num_ids = good_cases(arguments.model, 64)
    draw = random.Random(arguments.seed)
    kinds = [Faults.kinds[i % 10] for i in range(arguments.requests // 20)]
    kinds += [draw.choice(FRONTS) for _ in range(arguments.requests - len(kinds))]
    plan = [(kind, draw.choice(cases)) for kind in kinds]
    draw.shuffle(plan)
    with ServedProcess(
        arguments.model, log, model_name="load", receive_seconds=RECEIVE_SECONDS
    ) as server:
        sender = Sender(server, cases[0], num_ids)
        with ThreadPoolExecutor(arguments.num_clients) as pool:
            # Threads and caches come with the first of each kind.
            list(pool.map(sender.send, [(k, cases[0]) for k in (*Faults.kinds, *FRONTS) * 10]))
            sender.counts.clear()
            time.sleep(3)
            before = state(server, 0)
            start = time.monotonic()
            size = len(plan) // 10
            for end in range(size, len(plan) + 1, size):
                list(pool.map(sender.send, plan[end - size : end]))
                print(json.dumps(state(server, end)), flush=True)
            took = time.monotonic() - start
        time.sleep(3)
        rest = state(server, "rest")
    summary = {
        "requests": sum(sender.counts.values()),
        "bad": sum(sender.counts[kind] for kind in Faults.kinds),
        "wrong": len(sender.problems),
        "problems": sender.problems[:5],
        "requests_per_second": round(len(plan) / took, 1),
        "before": before,
        "at rest": rest,
        "tracebacks in the log": log.read_text().count("Traceback"),
        "exit status": server.process.returncode,
        "counts": dict(sender.counts),
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
