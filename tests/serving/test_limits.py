import asyncio
import json

import pytest

from spade_tf.serving.limits import BodyLimits, RequestLimits

LIMITS = RequestLimits(max_body_bytes=10, receive_seconds=0.05)


async def echo(scope, receive, send):
    """An application that gives back the body."""
    message = await receive()
    assert not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def call(parts, length=None, pause=0.0, ends="complete"):
    """Status and body of the answer to a body that comes in parts; None if there is none."""
    sent = []

    async def main():
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if ends == "complete":
            messages[-1]["more_body"] = False
        else:
            messages.append({"type": "http.disconnect"})

        async def receive():
            await asyncio.sleep(pause)
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        headers = [] if length is None else [(b"content-length", str(length).encode())]
        await BodyLimits(echo, LIMITS)({"type": "http", "headers": headers}, receive, send)

    asyncio.run(main())
    return (sent[0]["status"], sent[1]["body"]) if sent else None


def test_what_fits_goes_through_in_one_piece():
    assert call([b"abc", b"", b"de"], 5) == (200, b"abcde")
    assert call([b"0123456789"]) == (200, b"0123456789")


@pytest.mark.parametrize("length", [11, None])
def test_too_large_a_body(length):
    """A body is refused by its declared length before it arrives, and by what arrives."""
    status, body = call([b"0123456789", b"0"], length)
    assert status == 413
    assert "10 are taken at most" in json.loads(body)["error"]


def test_a_client_that_still_sends_can_read_why_it_is_refused():
    """The server answers first, then reads the rest of the body, then ends."""
    order = []

    async def main():
        messages = [{"type": "http.request", "body": b"0123456789", "more_body": True}] * 3
        messages.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive():
            order.append("receive")
            return messages.pop(0)

        async def send(message):
            order.append((message.get("status"), message.get("more_body", False)))

        headers = [(b"content-length", b"30")]
        await BodyLimits(echo, LIMITS)({"type": "http", "headers": headers}, receive, send)

    asyncio.run(main())
    assert order == [(413, False), (None, True), *["receive"] * 4, (None, False)]


def test_too_slow_a_body():
    status, body = call([b"a"] * 8, 8, pause=0.02)
    assert status == 408
    assert "within 0.05 seconds" in json.loads(body)["error"]


def test_a_client_that_leaves_gets_nothing():
    assert call([b"a", b"b"], 5, ends="disconnect") is None


def test_other_scopes_are_left_alone():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(BodyLimits(app, LIMITS)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
