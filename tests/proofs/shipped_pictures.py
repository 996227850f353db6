"""Makes the pictures of README from the shipped model: held-out landscapes, and drawn styles.

    python tests/proofs/shipped_pictures.py

writes docs/images/landscapes.png (label map, generated in the style of the real picture, real) and
docs/images/styles.png (layouts in the same drawn styles).
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.commands.generate import generate
from experiments.setup.layouts import shown_map
from experiments.setup.predictors import load_model, make_pictures
from experiments.setup.shipped import SHIPPED_MODEL
from pipelines import landscapes
from pipelines.landscapes import FIRST_VAL_INDEX
from spade_tf.training.pictures import grid, write_png


def beside_real(model, indices):
    """Rows of label map, generated and real picture, two landscapes in a row."""
    cells = []
    for index in indices:
        drawn = landscapes.render(0, FIRST_VAL_INDEX + index, *model.image_size)
        maps = {"label": drawn.label[None].astype("int32")}
        if model.use_instance:
            maps["instance"] = drawn.instance[None].astype("int32")
        real = drawn.image[None] / np.float32(127.5) - np.float32(1)
        made = make_pictures(model, [str(index)], maps, model.encode(real)[:, None])
        shown = shown_map({"label": drawn.label}, model.labels.palette)
        cells.append([shown, made[0, 0], drawn.image])
    return [first + second for first, second in zip(cells[::2], cells[1::2], strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=SHIPPED_MODEL, type=Path)
    parser.add_argument("--output_dir", default=Path("docs/images"), type=Path)
    parser.add_argument("--first", default=0, type=int, help="First held-out landscape.")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    rows = beside_real(model, range(arguments.first, arguments.first + 8))
    write_png(arguments.output_dir / "landscapes.png", grid(rows))
    out = arguments.output_dir / "styles"
    paths = generate(arguments.model, output_dir=out, num_samples=4, max_labels=4)
    (out / "overview.png").rename(arguments.output_dir / "styles.png")
    for path in paths:
        path.unlink()
    out.rmdir()


if __name__ == "__main__":
    main()
