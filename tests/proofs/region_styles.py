"""Does each region of a picture take the style that it is given?

    python tests/proofs/region_styles.py --model=runs/mine --data_dir=data --output=regions.png

The model is a workdir of landscapes whose encoder has styles of classes. Prints three shares and
writes a picture:

- sky of one photograph, the rest of another: for pairs of held-out landscapes of two times of day,
  the second one's layout is drawn with the sky (sky, cloud, sun or moon) in the style of the first.
  Two classifiers find the time of day, one of the sky alone, one of the rest alone. The shares are
  those of pairs in which one, the other, and both are right.
- one sky for another: how much more the sky changes than the rest when its style is drawn anew.
- The classifiers' own accuracy on held-out real pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

import keras
import numpy as np
import tensorflow as tf

from experiments.setup.trained_model import TrainedModel, load_workdir
from pipelines.landscapes import CLASS_NAMES
from pipelines.reading.attributes import attribute_of
from pipelines.reading.prepared import open_dataset
from spade_tf.layers.semantics import Semantics
from spade_tf.training.pictures import grid, to_uint8, write_png

SKY = [CLASS_NAMES.index(name) for name in ("sky", "cloud", "sun or moon")]
# Light shows at a small size.
SIZE = 32
EPOCHS = 20
GREY = 127


class Landscapes(NamedTuple):
    """Pictures uint8 `[N, H, W, 3]`, maps `[N, H, W]`, times of day `[N]` as places."""

    image: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    time: np.ndarray


def read(builder: Any, split: str, count: int) -> Landscapes:
    """The first examples of a split."""
    attribute = attribute_of("landscapes")
    examples = list(builder.as_dataset(split=split).take(count).as_numpy_iterator())
    columns = [
        np.stack([np.squeeze(each[name]) for each in examples])
        for name in ("image", "label", "instance")
    ]
    times = [attribute.place(each["name"].decode()) for each in examples]
    return Landscapes(*columns, np.array(times))


def region(image: np.ndarray, label: np.ndarray, *, sky: bool) -> np.ndarray:
    """Small pictures of one region; the rest is grey."""
    inside = np.isin(label, SKY) == sky
    image = np.where(inside[..., None], image, GREY).astype(np.float32) / 127.5 - 1
    return tf.image.resize(image, [SIZE, SIZE], antialias=True).numpy()


def classifier(examples: Landscapes, *, sky: bool) -> keras.Model:
    """Learns the time of day from one region."""
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input([SIZE, SIZE, 3]),
            *(layers.Conv2D(n, 3, 2, "same", activation="relu") for n in (16, 32, 32)),
            layers.Flatten(),
            layers.Dense(int(examples.time.max()) + 1),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    pictures = region(examples.image, examples.label, sky=sky)
    network.fit(pictures, examples.time, batch_size=32, epochs=EPOCHS, verbose=0)
    return network


def found(network: keras.Model, image: np.ndarray, label: np.ndarray, *, sky: bool) -> np.ndarray:
    """The times of day that a classifier finds, as places."""
    return network.predict(region(image, label, sky=sky), verbose=0).argmax(-1)


class Painter(NamedTuple):
    """Draws layouts in styles of classes."""

    model: TrainedModel

    def maps(self, landscapes: Landscapes, at: int) -> dict[str, tf.Tensor]:
        """The maps of one landscape, a batch of one."""
        names = ["label", "instance"] if self.model.generator.use_instance_edges else ["label"]
        return {name: tf.constant(getattr(landscapes, name)[[at]], tf.int32) for name in names}

    def style(self, landscapes: Landscapes, at: int) -> np.ndarray:
        """The mean style of each class `[N, D]`. A class that is not there has that of the sky."""
        image = landscapes.image[[at]] / np.float32(127.5) - 1
        mean, _ = self.model.encoder(image, landscapes.label[[at]].astype(np.int32))
        style = mean.numpy().reshape(self.model.generator.num_labels, -1)
        there = np.isin(np.arange(len(style)), landscapes.label[at])
        return np.where(there[:, None], style, style[SKY[0]])

    def __call__(self, maps: dict[str, tf.Tensor], style: np.ndarray) -> np.ndarray:
        """The picture uint8 `[H, W, 3]`."""
        generator = self.model.generator
        semantics = Semantics.from_inputs(
            maps,
            num_labels=generator.num_labels,
            use_instance_edges=generator.use_instance_edges,
        ).with_class_styles(tf.constant(style[None], tf.float32))
        return to_uint8(generator(inputs=semantics, training=False).numpy())[0]


def two_photographs(
    painter: Painter, held_out: Landscapes, pairs: list[tuple[int, int]]
) -> np.ndarray:
    """Pictures of the second of each pair, with the sky of the first."""
    pictures = []
    for first, second in pairs:
        style = painter.style(held_out, second)
        style[SKY] = painter.style(held_out, first)[SKY]
        pictures.append(painter(painter.maps(held_out, second), style))
    return np.stack(pictures)


def changes(painter: Painter, held_out: Landscapes, count: int, seed: int) -> tuple[float, float]:
    """Mean change in levels of 255 where the sky is and elsewhere, if its style is drawn anew."""
    random = np.random.default_rng(seed)
    inside, outside = [], []
    for at in range(count):
        maps, style = painter.maps(held_out, at), painter.style(held_out, at)
        other = style.copy()
        # One vector for the class that is resampled, as `generate --resample_class=sky`.
        style[SKY[0]], other[SKY[0]] = random.normal(size=(2, style.shape[1]))
        moved = np.abs(painter(maps, style).astype(int) - painter(maps, other)).mean(-1)
        sky = held_out.label[at] == SKY[0]
        inside.append(moved[sky].mean())
        outside.append(moved[~sky].mean())
    return float(np.mean(inside)), float(np.mean(outside))


def pairs_of(held_out: Landscapes, count: int, seed: int) -> list[tuple[int, int]]:
    """Landscapes of two times of day, the first with a sky."""
    random = np.random.default_rng(seed)
    pairs: list[tuple[int, int]] = []
    while len(pairs) < count:
        first, second = map(int, random.integers(0, len(held_out.time), 2))
        has_sky = (held_out.label[first] == SKY[0]).mean() > 0.1
        if held_out.time[first] != held_out.time[second] and has_sky:
            pairs.append((first, second))
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="workdir")
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--pairs", default=100, type=int)
    parser.add_argument("--training", default=2000, type=int, help="Pictures to learn light from.")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--output", type=Path, help="picture to write")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    model = load_workdir(arguments.model)
    builder = open_dataset(model.config.data.prepared, arguments.data_dir)
    train, held_out = read(builder, "train", arguments.training), read(builder, "val", 500)
    painter = Painter(model)
    pairs = pairs_of(held_out, arguments.pairs, arguments.seed)
    pictures = two_photographs(painter, held_out, pairs)
    first, second = map(np.array, zip(*pairs, strict=True))
    right = []
    for sky, source in ((True, first), (False, second)):
        network = classifier(train, sky=sky)
        real = found(network, held_out.image, held_out.label, sky=sky) == held_out.time
        made = found(network, pictures, held_out.label[second], sky=sky)
        right.append(made == held_out.time[source])
        name = "sky" if sky else "rest"
        print(f"{name}: recognised in {right[-1].mean():.2f}; real pictures {real.mean():.3f}")
    print(f"both recognised in {(right[0] & right[1]).mean():.2f} of {len(pairs)} pairs")
    inside, outside = changes(painter, held_out, 50, arguments.seed)
    print(
        f"another sky: changes the sky by {inside:.1f} levels of 255, the rest by {outside:.1f}, "
        f"{inside / outside:.1f} to 1"
    )
    if arguments.output:
        rows = [
            [held_out.image[a], held_out.image[b], picture]
            for (a, b), picture in zip(pairs, pictures, strict=True)
        ][:8]
        write_png(
            arguments.output, grid([x + y for x, y in zip(rows[::2], rows[1::2], strict=True)])
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
