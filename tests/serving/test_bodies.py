import asyncio
import gzip
import os
import signal
import threading
import zlib

import pytest

from spade_tf.serving.bodies import BodyReader, count_values, decompress, parse_json
from spade_tf.serving.errors import (
    BadRequestError,
    MediaTypeError,
    TooLargeError,
    UnavailableError,
)


def who(json):
    """The id of the process that reads a body."""
    return os.getpid()


def refuse(json):
    raise BadRequestError("label: no")


def end(json):
    os.kill(os.getpid(), signal.SIGKILL)


FEW = b'{"b64": "' + b"A" * 10_000_000 + b'"}'
MANY = b"[" + b"1," * 20_001 + b"1]"


def test_bodies_of_many_values_are_read_in_another_process():
    async def main():
        reader = BodyReader()
        try:
            assert await reader.read(who, FEW) == os.getpid()
            other = await reader.read(who, MANY)
            assert other != os.getpid()
            # One process reads all.
            assert await reader.read(who, MANY) == other
            with pytest.raises(BadRequestError, match="label: no"):
                await reader.read(refuse, MANY)
            with pytest.raises(UnavailableError, match="send files in place of arrays"):
                await reader.read(end, MANY)
            # The process has been replaced.
            assert await reader.read(who, MANY) not in (other, os.getpid())
        finally:
            reader.close()

    asyncio.run(main())


def test_nothing_of_the_process_is_left_when_it_is_closed():
    before = set(threading.enumerate())
    reader = BodyReader()
    reader.start()
    assert set(threading.enumerate()) - before
    reader.close()
    # What is left here, Python's exit would race with.
    assert not set(threading.enumerate()) - before


def test_more_lists_than_any_request_has_are_not_read():
    assert count_values(b"[1, [2, 3], {}]") == 6
    with pytest.raises(BadRequestError, match="holds 1048577 lists and objects, and 1048576 are"):
        count_values(b"[" * ((1 << 20) + 1))


@pytest.mark.parametrize("text", [b"", b"no", b"[1,", b"[" * 2000 + b"]" * 2000, b"\xff", b"NaN"])
def test_what_is_not_json(text):
    with pytest.raises(BadRequestError, match="the body is not JSON") as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_unpacked_to_the_limit_alone():
    # 200 MB in 200 KB.
    bomb = gzip.compress(bytes(200_000_000), 1)
    with pytest.raises(TooLargeError, match="more than 1000 bytes once unpacked"):
        decompress(bomb, "gzip", 1000)
    assert decompress(gzip.compress(bytes(1000)), " GZIP", 1000) == bytes(1000)
    with pytest.raises(MediaTypeError, match="'br' received"):
        decompress(b"", "br", 1000)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "-inf"])
@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"inputs": {"label": [[[1]]], "z": [[0.5, %s]]}}', "z"),
        ('{"instances": [{"ä": "ü", "seed": %s}]}', "seed"),
        ('{"inputs": [{"name": "z", "shape": [1], "data": [%s]}]}', "z"),
    ],
)
def test_numbers_that_json_does_not_have_are_named_with_their_key(number, body, key):
    with pytest.raises(BadRequestError) as caught:
        parse_json((body % number).encode())
    assert str(caught.value).startswith(f"{key}: {number} received, which JSON does not have")


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        *((lambda body, level=level: zlib.compress(body, level), "deflate") for level in (1, 6, 9)),
    ],
)
def test_a_compressed_body_without_its_header_is_told_the_header(pack, encoding):
    with pytest.raises(BadRequestError, match=f"send the header Content-Encoding: {encoding}$"):
        parse_json(pack(b'{"instances": []}'))
