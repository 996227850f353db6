"""Paints in Chromium with a real model: how long pictures take, and how the page looks.

    python tests/proofs/painter.py --model=saved_models/landscapes --images=docs/images

prints the times as JSON, and writes `painter.png`, `painter_phone.png` and `painter_dark.png`.
`--model=DIR/web/1`, the folder of a web export, measures the model in the browser.
Times are from the end of a stroke to its exact picture on the screen, and between the pictures
that follow one another while a long stroke is drawn. They mean something on a quiet machine alone.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from served_process import ServedProcess
from static_site import Site

LOOKS = {
    "painter": {"viewport": {"width": 1280, "height": 800}},
    "painter_phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "painter_dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}


def stroke(page, random, moves, seconds):
    """Draws a stroke at random places of the map, over a time."""
    box = page.locator("#map").bounding_box()
    points = random.uniform(0.1, 0.9, (2, 2)) * (box["width"], box["height"])
    points += (box["x"], box["y"])
    page.mouse.move(*points[0])
    page.mouse.down()
    for part in np.linspace(0, 1, moves):
        page.mouse.move(*(points[0] + part * (points[1] - points[0])))
        time.sleep(seconds / moves)
    page.mouse.up()


def quantiles(values):
    """Median and 95th percentile, in milliseconds."""
    if not len(values):
        return {}
    return {
        "count": len(values),
        "p50_ms": round(float(np.percentile(values, 50)), 1),
        "p95_ms": round(float(np.percentile(values, 95)), 1),
    }


def measure(page, strokes):
    """Times of short strokes, and of one long stroke."""
    random = np.random.default_rng(0)
    for index in range(strokes):
        page.keyboard.press(str(1 + index % 9))
        stroke(page, random, moves=8, seconds=0.15)
        page.locator("#download:enabled").wait_for()
    ends = page.evaluate(
        "performance.getEntriesByName('painter:stroke-to-picture').map((e) => e.duration)"
    )
    page.evaluate("performance.clearMarks('painter:draft-shown')")
    stroke(page, random, moves=200, seconds=10)
    drafts = page.evaluate(
        "performance.getEntriesByName('painter:draft-shown').map((e) => e.startTime)"
    )
    return {"stroke_to_picture": quantiles(ends), "between_drafts": quantiles(np.diff(drafts))}


def look(browser, url, folder, name, options):
    """Writes a picture of the page."""
    from PIL import Image

    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(url)
    page.locator("#download:enabled").wait_for(timeout=120_000)
    if "has_touch" not in options:
        page.locator("#vary").click()
        page.locator("#variations li").nth(4).wait_for(timeout=120_000)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(folder / f"{name}.png", optimize=True)
    context.close()


def serve(model, log):
    """Serves the page of an export, or a folder of static files with threads allowed."""
    if not (Path(model) / "index.html").exists():
        return ServedProcess(model, log)
    names = ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy")
    return Site(model, list(zip(names, ("same-origin", "require-corp"), strict=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", type=Path, help="folder of the pictures; none for no pictures")
    parser.add_argument("--strokes", type=int, default=30)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as scratch,
        serve(arguments.model, Path(scratch) / "log") as server,
        sync_playwright() as browsers,
    ):
        chromium = shutil.which("chromium")
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        page.goto(server.url)
        page.locator("#download:enabled").wait_for()
        if arguments.strokes:
            print(json.dumps(measure(page, arguments.strokes)))
        page.close()
        for name, options in LOOKS.items() if arguments.images else ():
            look(browser, server.url, arguments.images, name, options)
        browser.close()


if __name__ == "__main__":
    main()
