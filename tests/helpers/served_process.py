"""An embedded server in its own process, started as users start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ServedProcess:
    """`run.py serve` on free ports of the loopback; stops with the `with` block."""

    def __init__(self, model, log: Path, **flags):
        self.port, self.grpc_port = free_port(), free_port()
        self.log = log
        command = [
            *(sys.executable, str(ROOT / "run.py"), "serve", f"--model={model}"),
            *(f"--port={self.port}", f"--grpc_port={self.grpc_port}"),
            *(f"--{name}={value}" for name, value in flags.items()),
        ]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        end = time.monotonic() + 300
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "not ready in 300 s"
            try:
                with urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            self.process.kill()

    def status(self) -> tuple[float, float, int]:
        """Resident memory and its peak in MiB, and the number of threads."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        mib = [int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]
        return mib[0], mib[1], int(fields["Threads"])

    def descriptors(self) -> int:
        """Open files and connections."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
