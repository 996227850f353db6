"""Addresses that a server listens on."""

from __future__ import annotations

import errno
import socket

from spade_tf.serving.errors import ServingError


def bracketed(host: str) -> str:
    """An address as part of another: IPv6 addresses have brackets."""
    return f"[{host}]" if ":" in host else host


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket on an address.

    Raises:
        ServingError: if there is no such address here, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ServingError(
            f"--host={host}: no address of this machine; give 127.0.0.1, or 0.0.0.0 for all"
        ) from error
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address[:2], family=family, dualstack_ipv6=both, backlog=2048)
    except OSError as error:
        taken = error.errno != errno.EADDRNOTAVAIL
        flag = f"--port={port}" if taken else f"--host={host}"
        raise ServingError(
            f"{flag}: cannot be listened on ({error.strerror}); give another"
        ) from error
