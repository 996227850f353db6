"""What the painter's page is made of, what it asks the server for, and what is refused."""

import asyncio
import http.client
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import pytest
import tensorflow as tf
from asking import ask
from painted_double import Double
from painted_export import CLASSES, PALETTE
from PIL import Image
from served_networks import SIZE, Z_DIM, layouts
from starlette.testclient import TestClient

from spade_tf.networks.styles import seeded_styles
from spade_tf.serving.fronts.painter import Painter
from spade_tf.serving.fronts.rest_server import make_app

LABEL = layouts(1).astype(np.uint8)
SEED = 11


def said(answer):
    status, _, body = answer
    return status, json.loads(body)["error"]


def style(seed=SEED):
    return seeded_styles(tf.constant([seed], tf.int64), Z_DIM).numpy()


def body_of(label=LABEL, z=None):
    return label.tobytes() + (style() if z is None else z).astype("<f4").tobytes()


PICTURE = f"/painter/api/picture?height={SIZE}&width={SIZE}"


def test_the_page_and_all_that_it_refers_to_is_there(server):
    status, headers, page = ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    # It works without a network: nothing is of another host.
    folder = resources.files("spade_tf.serving").joinpath("painter")
    files = [
        file for file in folder.iterdir() if file.name.endswith((".html", ".js", ".css", ".svg"))
    ]
    for file in files:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$|: //|\s// .*$", "", text, flags=re.M).replace(
            "</", ""
        ), file.name
        status, headers, content = ask(server, f"/painter/{file.name}")
        assert (status, content) == (200, file.read_bytes())
        assert headers["X-Content-Type-Options"] == "nosniff"
    for name in re.findall(r'(?:href|src)="([^"]+)"', page.decode()):
        assert ask(server, f"/{name}")[0] == 200
    assert len(re.findall(r"<script", page.decode())) == 1
    assert "style=" not in page.decode()


def test_pages_come_with_a_policy_and_are_fetched_once(server):
    _, headers, _ = ask(server, "/")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    status, _, body = ask(server, "/", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "../__init__.py",
        "..%2f__init__.py",
        "%2e%2e/__init__.py",
        "..%5c__init__.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "main.js%00",
        "api/../main.js",
        "",
        "nothing.js",
    ],
)
def test_no_part_of_an_address_is_a_path(server, name):
    # urllib would tidy the address up.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/painter/{name}")
    response = connection.getresponse()
    assert response.status == 404
    assert "there is nothing at this address" in json.loads(response.read())["error"]
    connection.close()


def test_it_says_what_the_model_knows(server):
    status, headers, body = ask(server, "/painter/api/model")
    model = json.loads(body)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert [each["name"] for each in model["classes"]] == list(CLASSES)
    assert [each["color"] for each in model["classes"]] == list(PALETTE)
    assert (model["height"], model["width"], model["styles"]) == (SIZE, SIZE, Z_DIM)
    assert (model["name"], model["version"]) == ("tiny", 1)
    assert (model["photographs"], model["samples"]) == (True, False)
    assert model["files"]["write"] == [0, 1, 2, 3, 4]


def test_a_seed_is_the_style_that_it_is_elsewhere(server):
    _, _, body = ask(server, f"/painter/api/style?seed={SEED}")
    np.testing.assert_array_equal(np.frombuffer(body, "<f4"), style()[0])


def test_a_painted_picture_is_the_export_s(server, signatures):
    """Edges are those between classes: who paints tells no instances."""
    expected = signatures["generate_with_style"](
        label=tf.constant(LABEL, tf.int32),
        instance=tf.constant(LABEL, tf.int32),
        z=tf.constant(style()),
    )["image"].numpy()[0]
    status, headers, body = ask(server, PICTURE, body_of())
    assert (status, headers["Content-Type"]) == (200, "image/png")
    made = np.asarray(Image.open(io.BytesIO(body)))
    # Two kinds of sessions: a rounding apart at most.
    assert np.abs(made.astype(int) - expected).max() <= 1
    status, headers, body = ask(server, f"{PICTURE}&format=jpeg", body_of())
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    drafted = np.asarray(Image.open(io.BytesIO(body)).convert("RGB")).astype(int)
    # JPEG of quality 90: mean error of a few levels.
    assert np.abs(drafted - made).mean() < 6


def test_twenty_painters_get_their_own_pictures(server, signatures):
    """All at once, each with a map and a style of its own, twice over."""
    maps = layouts(20).astype(np.uint8)
    styles = seeded_styles(tf.range(20, dtype=tf.int64), Z_DIM).numpy()
    expected = signatures["generate_with_style"](
        label=tf.constant(maps, tf.int32),
        instance=tf.constant(maps, tf.int32),
        z=tf.constant(styles),
    )["image"].numpy()

    def paint(index):
        for label in (maps[-1 - index], maps[index]):
            status, _, body = ask(server, PICTURE, body_of(label, styles[index]))
            assert status == 200, body
        return np.asarray(Image.open(io.BytesIO(body))).astype(int)

    with ThreadPoolExecutor(20) as pool:
        made = np.stack(list(pool.map(paint, range(20))))
    # As above: a rounding apart at most.
    assert np.abs(made - expected).max() <= 1
    assert len({picture.tobytes() for picture in made}) == 20


def test_a_photograph_gives_its_style(server, signatures):
    file = io.BytesIO()
    photograph = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(photograph).save(file, "png")
    status, _, body = ask(server, "/painter/api/photograph", file.getvalue())
    expected = signatures["encode_style"](image_bytes=tf.constant([file.getvalue()]))["z"]
    assert status == 200
    np.testing.assert_allclose(np.frombuffer(body, "<f4"), expected.numpy()[0], atol=1e-5)


def png(width, height):
    """A PNG file that states a size, and holds a few bytes."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + header + b"\0\0\0\0"


HOSTILE = [
    (PICTURE, b"", "0 bytes received; a map of 64x64"),
    (PICTURE, body_of() + b"\0", "bytes received; a map of 64x64"),
    (PICTURE, body_of(LABEL + 100), "label: ids 0 to 4, and 255 for unknown, are allowed"),
    (PICTURE, body_of(z=np.full([Z_DIM], np.nan)), "z: "),
    (PICTURE, body_of(z=np.full([Z_DIM], 1e30)), "z: "),
    ("/painter/api/picture?height=-1&width=64", b"", "height: '-1' received"),
    ("/painter/api/picture?height=64&width=1e3", b"", "width: '1e3' received"),
    ("/painter/api/picture?height=64", b"", "width: '' received"),
    ("/painter/api/picture?height=9999999&width=1", b"", "height: '9999999' received"),
    ("/painter/api/picture?height=64&width=%D9%A3", b"", "width: '٣' received"),
    (f"{PICTURE}&format=../../etc", body_of(), "format: '../../etc' received"),
    (
        "/painter/api/picture?height=32&width=32",
        body_of(LABEL[:, :32, :32]),
        "this model makes pictures of 64x64",
    ),
    ("/painter/api/photograph", b"", "image_bytes[0]: "),
    ("/painter/api/photograph", b"<svg onload=alert(1)>", "neither a JPEG nor a PNG file"),
    ("/painter/api/photograph", b"GIF89a" + bytes(99), "neither a JPEG nor a PNG file"),
    ("/painter/api/photograph", png(30000, 30000), "a file of 30000x30000 pixels received"),
    ("/painter/api/photograph", png(64, 64), "a PNG file is truncated or damaged"),
    ("/painter/api/style", None, "seed: '' received"),
    ("/painter/api/style?seed=9" + "9" * 30, None, "seed: '9999"),
    ("/painter/api/style?seed=" + "9" * 20, None, "seed: '9999"),
    ("/painter/api/style?seed=--1", None, "seed: '--1' received"),
]


@pytest.mark.parametrize(("path", "body", "sentence"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_cannot_be_drawn_is_refused_with_a_sentence(server, path, body, sentence):
    status, error = said(ask(server, path, body))
    assert status == 400
    assert sentence in error
    assert "\n" not in error


def test_bodies_have_the_limits_of_other_requests(server):
    status, error = said(ask(server, PICTURE, bytes((16 << 20) + 1)))
    assert (status, "and 16777216 are taken at most" in error) == (413, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[broken"},
    ],
)
def test_other_sites_get_nothing(server, headers):
    status, error = said(ask(server, "/painter/api/style?seed=1", **headers))
    assert status == 403
    assert "the painter answers its own page" in error or "is for this machine" in error
    if "Host" not in headers:
        headers = {**headers, "Content_Type": "application/octet-stream"}
        assert said(ask(server, PICTURE, body_of(), **headers))[0] == 403


def test_its_own_page_is_answered(server):
    headers = {"Origin": server.url, "Sec_Fetch_Site": "same-origin"}
    assert ask(server, PICTURE, body_of(), **headers)[0] == 200
    assert ask(server, "/painter/api/model", Host="localhost:1")[0] == 200


def client_of(double, painter):
    return TestClient(make_app(double.dispatch(), painter), "http://127.0.0.1")


def test_without_a_painter_the_server_is_as_before(tmp_path):
    client = client_of(Double(tmp_path), None)
    assert client.get("/").json() == {"live": True}
    assert client.get("/painter/main.js").status_code == 404
    assert client.get("/painter/api/model").status_code == 404


def test_a_model_of_one_style_is_painted_with(tmp_path):
    double = Double(tmp_path)
    client = client_of(double, Painter())
    model = client.get("/painter/api/model").json()
    assert (model["styles"], model["photographs"]) == (0, False)
    answer = client.post("/painter/api/picture?height=32&width=64", content=bytes(32 * 64))
    made = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert (made == PALETTE[0]).all()
    assert double.made[0]["label"].shape == (1, 32, 64)
    error = client.get("/painter/api/style?seed=1")
    assert (error.status_code, "one style only" in error.json()["error"]) == (501, True)


def test_samples_come_from_who_serves(tmp_path):
    def samples(names, height, width):
        assert names == list(CLASSES)
        return lambda seed: np.full([height, width], seed % 5, np.uint8)

    client = client_of(Double(tmp_path), Painter(samples))
    assert client.get("/painter/api/model").json()["samples"]
    assert client.get("/painter/api/sample?seed=8").content == bytes([3]) * (32 * 64)
    client = client_of(Double(tmp_path), Painter())
    assert "no sample layouts" in client.get("/painter/api/sample?seed=8").json()["error"]


def test_a_painter_for_other_machines_answers_by_any_name(tmp_path):
    for local, status in ((True, 403), (False, 200)):
        client = client_of(Double(tmp_path), Painter(local=local))
        answer = client.get("/painter/api/model", headers={"Host": "box.example:8080"})
        assert answer.status_code == status


def test_work_of_a_client_that_leaves_is_dropped(tmp_path):
    """Three ask, one after the other; the second leaves while it waits."""
    double = Double(tmp_path)
    double.seconds = 0.3
    app = make_app(double.dispatch(), Painter())

    async def ask(value, leaves):
        sent, messages = [], [{"type": "http.request", "body": bytes([value]) * (32 * 64)}]

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.sleep(0.1 if leaves else 60)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            **{"type": "http", "method": "POST", "path": "/painter/api/picture"},
            **{"query_string": b"height=32&width=64", "headers": [(b"host", b"localhost")]},
        }
        await app(scope, receive, send)
        return sent[0]["status"]

    async def all_three():
        return await asyncio.gather(ask(0, False), ask(1, True), ask(2, False))

    assert asyncio.run(all_three()) == [200, 499, 200]
    assert [each["label"].max() for each in double.made] == [0, 2]
