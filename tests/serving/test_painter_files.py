"""Files of maps and of photographs that are opened in the painter, in Chromium."""

import io

import numpy as np
import pytest
from painted_export import PALETTE
from PIL import Image
from served_networks import SIZE

pytestmark = pytest.mark.browser

GRASS = 1


FILES = {
    "grey": lambda ids: Image.fromarray(ids),
    "two bits": lambda ids: Image.fromarray(ids % 4),
    "16 bits": lambda ids: Image.fromarray(ids.astype(np.uint16)),
    "colours": lambda ids: Image.fromarray(np.array(PALETTE, np.uint8)[ids]),
    "colours and alpha": lambda ids: Image.fromarray(
        np.concatenate(
            [np.array(PALETTE, np.uint8)[ids], np.full((*ids.shape, 1), 255, np.uint8)], 2
        )
    ),
    "palette": lambda ids: with_palette(ids, np.array(PALETTE)),
    "palette of other colours": lambda ids: with_palette(ids, np.arange(15)),
    "larger": lambda ids: Image.fromarray(ids.repeat(3, 0).repeat(2, 1)),
}


def with_palette(ids, palette):
    image = Image.frombytes("P", ids.shape[::-1], ids.tobytes())
    image.putpalette([int(value) for value in np.ravel(palette)])
    return image


@pytest.mark.parametrize("kind", FILES)
def test_maps_are_opened(painting, kind, tmp_path):
    ids = np.random.default_rng(3).integers(0, 5, (SIZE, SIZE)).astype(np.uint8)
    file = io.BytesIO()
    bits = {"bits": 2} if kind == "two bits" else {}
    FILES[kind](ids).save(file, "png", **bits)
    if bits:
        ids %= 4
    payload = {"name": "map.png", "mimeType": "image/png", "buffer": file.getvalue()}
    painting.changed(lambda: painting.page.locator("#map-file").set_input_files(payload))
    np.testing.assert_array_equal(painting.ids(), ids)
    status = painting.page.locator("#status").inner_text()
    scaled = "map.png has 128×192 pixels, and was scaled to 64×64 without new classes."
    assert status == (scaled if kind == "larger" else "")
    painting.page.keyboard.press("Control+z")
    assert (painting.ids() == GRASS).all()


def png_bytes(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "png")
    return file.getvalue()


ID_9 = np.full((SIZE, SIZE), 9, np.uint8)
BOMB = png_bytes(np.zeros((8, 8), np.uint8))
BOMB = BOMB[:16] + (30_000).to_bytes(4, "big") * 2 + BOMB[24:]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is not a PNG file"),
        (b"<svg/>", "it is not a PNG file"),
        (png_bytes(ID_9), "the value 9, at column 1 and row 1, is of no class of this model"),
        (png_bytes(np.full((4, 4, 3), 7, np.uint8)), "the colour (7, 7, 7), at column 1 and row 1"),
        (png_bytes(ID_9)[:60], "it is truncated or damaged"),
        (png_bytes(ID_9)[:20], "it is damaged"),
        (BOMB, "it has 30000x30000 pixels"),
    ],
    ids=["empty", "svg", "id", "colour", "truncated", "header", "bomb"],
)
def test_files_that_are_no_maps_change_nothing(painting, content, sentence):
    page = painting.page
    payload = {"name": "bad.png", "mimeType": "image/png", "buffer": content}
    page.locator("#map-file").set_input_files(payload)
    page.locator("#status.error").wait_for()
    text = page.locator("#status").inner_text()
    assert text.startswith("bad.png cannot be opened: ")
    assert sentence in text
    assert (painting.ids() == GRASS).all()
    assert page.locator("#undo").is_disabled()


def test_a_file_that_is_no_photograph_changes_nothing(painting):
    page = painting.page
    payload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.locator("#photo-file").set_input_files(payload)
    page.get_by_text("notes.txt is not a picture that this browser can open.").wait_for()
    assert page.locator("#style-a").inner_text() == "1"
