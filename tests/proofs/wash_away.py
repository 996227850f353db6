"""Draws docs/images/wash_away.png: `python tests/proofs/wash_away.py --output FILE`.

Label maps of one label and of two go through a convolution with random weights, and then through
instance norm alone, or through SPADE with instance norm. Each is shown by its three channels as
red, green and blue; 0 is grey. The JSON has the largest difference between the first two rows.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))
sys.path.insert(0, str(ROOT))

SIZE = 32
CELL, GAP, TITLE, SCALE = 128, 16, 28, 2
COLORS = np.array([[84, 140, 201], [96, 146, 72], [190, 160, 110]], np.uint8)


def draw(path: Path) -> dict[str, float]:
    """Draws the picture; returns the differences between the two uniform maps."""
    from wash_away import activations

    columns = np.arange(SIZE) < SIZE // 2
    label = np.zeros((3, SIZE, SIZE), np.int32)
    label[1] = 1
    label[2] = np.where(columns, 0, 1)
    found = activations(label)
    cells = {"label map": COLORS[label]}
    for name, values in found.items():
        cells[name] = np.clip(127.5 + 100 * values, 0, 255).astype(np.uint8)
    width = len(cells) * (CELL + GAP) - GAP
    picture = Image.new(
        "RGB", (width * SCALE, (TITLE + 3 * (CELL + GAP) - GAP) * SCALE), (255, 255, 255)
    )
    pen = ImageDraw.Draw(picture)
    for column, (name, rows) in enumerate(cells.items()):
        left = column * (CELL + GAP) * SCALE
        middle = (left + CELL * SCALE // 2, TITLE * SCALE // 2)
        pen.text(middle, name, (32, 33, 36), ImageFont.load_default(15 * SCALE), anchor="mm")
        for row, cell in enumerate(rows):
            shown = Image.fromarray(cell).resize((CELL * SCALE,) * 2, Image.Resampling.NEAREST)
            picture.paste(shown, (left, (TITLE + row * (CELL + GAP)) * SCALE))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return {name: float(np.abs(rows[0] - rows[1]).max()) for name, rows in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/images/wash_away.png")
    print(json.dumps(draw(parser.parse_args().output), indent=1))
