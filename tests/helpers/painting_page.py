"""The painter's page in Chromium, and what tests ask of it."""

import time

import numpy as np
from painted_export import PALETTE
from PIL import Image
from served_networks import SIZE


class Painting:
    """The page, and what tests ask of it."""

    def __init__(self, browser, url, palette=PALETTE, **options):
        self.palette = np.array(palette)
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(error))
        self.url = url
        self.open()

    def open(self):
        self.page.goto(self.url)
        self.made()

    def made(self):
        """Waits for the exact picture of the map as it is."""
        self.page.locator("#download:enabled").wait_for()

    def changed(self, action):
        """Does something that changes the picture, and waits for the next exact one."""
        count = "performance.getEntriesByName('painter:exact-shown').length"
        before = self.page.evaluate(count)
        action()
        end = time.monotonic() + 60
        while self.page.evaluate(count) == before:
            assert time.monotonic() < end, "no other picture in 60 s"
            time.sleep(0.02)
        self.made()

    def ids(self):
        """The label map as it is shown: colours of the canvas, exactly those of classes."""
        pixels = self.canvas("map")[..., :3]
        same = (pixels[:, :, None] == self.palette).all(-1)
        # Nothing is blended: every pixel is the colour of one class.
        assert (same.sum(-1) == 1).all()
        return same.argmax(-1)

    def canvas(self, name):
        """Waits until what is drawn is shown, and gives the pixels, uint8 `[H, W, 4]`."""
        pixels = self.page.evaluate(
            """async (name) => {
              for (let frame = 0; frame < 2; ++frame) await new Promise(requestAnimationFrame);
              const canvas = document.getElementById(name);
              const {data} = canvas.getContext('2d')
                .getImageData(0, 0, canvas.width, canvas.height);
              return Array.from(data);
            }""",
            name,
        )
        return np.array(pixels, np.uint8).reshape(SIZE, SIZE, 4)

    def at(self, x, y):
        """The place of a pixel of the map on the page."""
        box = self.page.locator("#map").bounding_box()
        scale = box["width"] / SIZE
        return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale

    def drag(self, *points):
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        mouse.up()

    def file_of(self, click):
        with self.page.expect_download() as download:
            self.page.locator(click).click()
        return download.value

    def saved_ids(self, path):
        self.file_of("#save").save_as(path)
        with Image.open(path) as image:
            assert image.mode == "L"
            return np.array(image)

    def close(self):
        assert not self.errors
        self.context.close()
