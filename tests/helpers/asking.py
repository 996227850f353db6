"""Asks a server as a browser or curl does."""

import urllib.error
import urllib.request


def ask(server, path, body=None, **headers):
    """Status, headers and body of an answer, also of a refusal."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    request = urllib.request.Request(server.url + path, body, named)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()
