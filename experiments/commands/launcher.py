"""Several workers on one machine, to try distributed training without a cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from experiments.setup.program import start_command


def train_local_workers(
    num_workers: int, arguments: Sequence[str], grace_seconds: float = 90.0
) -> int:
    """Runs the `train` command in several processes, which train together over the loopback device.

    The first one shows its progress, the others only their errors. Ctrl-C and SIGTERM are passed
    on: all end after the current step, and the first one saves. When a process fails, the others
    notice by themselves. Those that do not end after a while are killed.

    Args:
        num_workers: int >= 1, number of processes.
        arguments: flags of each `train`.
        grace_seconds: float >= 0, how long the others may take to end.

    Returns:
        The exit code of the process that failed first, or 0.

    Raises:
        ValueError: if `num_workers` is below 1.
    """
    if num_workers < 1:
        raise ValueError(f"--local_workers={num_workers}: give 1 or more")
    addresses = [f"localhost:{port}" for port in _free_ports(num_workers)]
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    workers: list[subprocess.Popen] = []
    try:
        workers += [_start(index, addresses, arguments) for index in range(num_workers)]
        return _supervise(workers, addresses, received, grace_seconds)
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start(index: int, addresses: list[str], arguments: Sequence[str]) -> subprocess.Popen:
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    return start_command(
        ["train", *arguments],
        env={"TF_CONFIG": json.dumps(config)},
        stderr=None if index == 0 else subprocess.PIPE,
        stdout=None if index == 0 else subprocess.DEVNULL,
    )


def _supervise(
    workers: list[subprocess.Popen],
    addresses: list[str],
    received: list[int],
    grace_seconds: float,
) -> int:
    for worker in workers[1:]:
        assert worker.stderr is not None
        os.set_blocking(worker.stderr.fileno(), False)
    tails = [b""] * len(workers)
    passed_on, failed, deadline = 0, 0, None
    ended: set[int] = set()
    while len(ended) < len(workers):
        for number in received[passed_on:]:
            passed_on += 1
            for worker in workers:
                if worker.poll() is None:
                    worker.send_signal(number)
        for index, worker in enumerate(workers):
            if worker.stderr is not None:
                # A pipe that nobody reads fills up and blocks its writer.
                tails[index] = (tails[index] + (worker.stderr.read() or b""))[-4096:]
            code = worker.poll()
            if code is None or index in ended:
                continue
            ended.add(index)
            if code:
                _say(f"worker {index} at {addresses[index]}", code, tails[index])
                failed = failed or (128 - code if code < 0 else code)
                deadline = deadline or time.monotonic() + grace_seconds
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return failed


def _say(worker: str, code: int, tail: bytes) -> None:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    lines = [line for line in tail.decode(errors="replace").splitlines() if "error" in line.lower()]
    last = f": {lines[-1]}" if lines else ""
    print(f"{worker} {how}{last}", file=sys.stderr, flush=True)


def _free_ports(count: int) -> list[int]:
    # All are held open at once, so that no two are the same.
    holders = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
