"""Which machines a server listens to."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from served_process import free_port

from spade_tf.serving.errors import ServingError
from spade_tf.serving.listening import bracketed, listening_socket

# The program, with a line on stderr for each module that is imported.
_IMPORTS = [sys.executable, "-X", "importtime", "run.py"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_an_address_is_listened_on(host):
    port = free_port()
    with (
        listening_socket(host, port) as listener,
        socket.create_connection((host.replace("0.0.0.0", "127.0.0.1"), port), timeout=60),
    ):
        assert listener.getsockname()[1] == port
        if host != "0.0.0.0":
            assert listener.getsockname()[0] in ("127.0.0.1", "::1")


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "", "a" * 300])
def test_an_address_that_is_not_here_is_refused(host):
    with pytest.raises(ServingError, match="--host=") as caught:
        listening_socket(host, free_port())
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServingError, match=f"--port={port}: cannot be listened on"):
            listening_socket("127.0.0.1", port)


def test_a_taken_port_is_known_before_tensorflow_is_imported(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = subprocess.run(
            [*_IMPORTS, "serve", f"--model={tmp_path}", f"--port={port}"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
    assert f"--port={port}: cannot be listened on" in found.stderr
    assert found.returncode == 2
    assert "absl.flags" in found.stderr
    assert "tensorflow" not in found.stderr


def test_addresses_of_ipv6_have_brackets():
    assert (bracketed("::"), bracketed("0.0.0.0")) == ("[::]", "0.0.0.0")
