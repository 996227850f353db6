"""Proof that health is answered while large requests are: `serving_health.py --model=DIR`.

Asks the embedded server for pictures as JSON numbers, up to 16 at once, and sends it malformed
bodies of 15 MB. Meanwhile a second client asks for health, every 5 ms. Prints a JSON line for each
request with the longest time that health took; the exit status is 1 if one is above
`--milliseconds`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from served_process import ServedProcess

NAME = "health"
PREDICT = f"/v1/models/{NAME}:predict"
INFER = f"/v2/models/{NAME}/infer"
BODY_BYTES = 15_000_000
PICTURES = (1, 8, 16)


def requests(model: Path) -> dict[str, tuple[str, bytes]]:
    """Path and body of each request, by a name for it."""
    content = json.loads(next(model.rglob("assets/config.json")).read_text())
    data, generator = content["config"]["data"], content["config"]["generator"]
    size = [data["height"], data["width"]]
    classes = len(content["labels"]["class_names"])
    made = {}
    for count in PICTURES:
        blocks = np.random.default_rng(count).integers(0, classes, (count, 8, 8))
        label = blocks.repeat(size[0] // 8, 1).repeat(size[1] // 8, 2)
        inputs = [tensor("label", "INT32", label)]
        if generator["z_dim"]:
            inputs.append(tensor("z", "FP32", np.full((count, generator["z_dim"]), 0.1)))
        body = {"parameters": {"signature_name": "generate"}, "inputs": inputs}
        made[f"{count} pictures as numbers"] = (INFER, json.dumps(body).encode())
    lists = b"[]," * (BODY_BYTES // 3)
    made["many empty lists, version 2"] = (INFER, b'{"inputs":[' + lists + b"[]]}")
    made["many empty lists, version 1"] = (PREDICT, b'{"instances":[' + lists + b"[]]}")
    made["lists within lists"] = (PREDICT, b'{"instances":' + b"[" * BODY_BYTES)
    return made


def tensor(name: str, datatype: str, value: np.ndarray) -> dict[str, object]:
    """A tensor of protocol version 2, as JSON has it."""
    flat = value.ravel().tolist()
    return {"name": name, "datatype": datatype, "shape": list(value.shape), "data": flat}


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, int]:
    """Status and size of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    size = len(response.read())
    connection.close()
    return response.status, size


def longest(port: int, over: threading.Event) -> list[float]:
    """Seconds of each answer to a question for health, until it is over."""
    seconds = []
    while not over.is_set():
        start = time.monotonic()
        ask(port, "GET", "/v2/health/live")
        seconds.append(time.monotonic() - start)
        time.sleep(0.005)
    return seconds


def measure(port: int, path: str, body: bytes) -> dict[str, object]:
    """Sends a request while health is asked for."""
    over, seconds = threading.Event(), []
    thread = threading.Thread(target=lambda: seconds.extend(longest(port, over)))
    thread.start()
    start = time.monotonic()
    status, size = ask(port, "POST", path, body)
    took = time.monotonic() - start
    over.set()
    thread.join()
    return {
        "status": status,
        "bytes": size,
        "seconds": round(took, 2),
        "health, longest of": len(seconds),
        "milliseconds": round(1000 * max(seconds)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an export")
    parser.add_argument("--milliseconds", type=float, default=500, help="most that health may take")
    given = parser.parse_args()
    late = False
    with (
        tempfile.TemporaryDirectory() as folder,
        ServedProcess(given.model, Path(folder) / "log", model_name=NAME) as served,
    ):
        for name, (path, body) in requests(given.model).items():
            line = {"request": name, **measure(served.port, path, body)}
            late = late or line["milliseconds"] > given.milliseconds
            print(json.dumps(line), flush=True)
    sys.exit(late)
