"""Measures the training pipeline beside plain JPEG decoding and a plain Python loop."""

from __future__ import annotations

import io
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

_SEED = 0


def benchmark_input(
    *,
    data_dir: str | os.PathLike[str],
    dataset: str = "paired_folder",
    split: str = "train",
    load_size: int = 286,
    crop_size: int = 256,
    batch_size: int = 16,
    num_batches: int = 60,
    num_rounds: int = 5,
    output: TextIO | None = None,
) -> list[dict[str, Any]]:
    """Measures how many images a second come out, and writes a JSON line per kind of pipeline.

    Three kinds take turns, round after round, on the same encoded records, held in memory:
    `pipeline` is `make_dataset` of pipelines.reading (decode, scale, crop, mirror, batch);
    `jpeg_decode` is tf.data decoding the photographs and nothing else, the floor; `pillow_loop` is
    one Python loop that does the same as `pipeline` with Pillow and numpy.

    Args:
        data_dir: where prepared data sets are kept.
        dataset: as `pipelines.reading.prepared.open_dataset` takes it.
        split: of the data set; it is gone through over and over.
        load_size: height and width before the crop, in pixels.
        crop_size: height and width after it, in pixels.
        batch_size: images in a batch.
        num_batches: batches in a round; of a few, the start of the threads takes a fair part.
        num_rounds: how often each kind is measured; the median counts.
        output: where the JSON lines go. Default: standard output.

    Returns:
        What was written: `kind`, `images_per_second`, its lowest and highest, `num_cores`,
        `images_per_second_per_core` (the loop uses one core), `processor_ms_per_image` (which
        tells more on a machine that is shared), and `ratio_to_pillow_loop`.

    Raises:
        DataError: if the data set is not prepared or has no such split.
    """
    from pipelines.reading.prepared import find_dataset, open_directory

    directory = find_dataset(dataset, data_dir)
    import tensorflow_datasets as tfds

    from pipelines.reading.input_pipeline import Training, make_dataset

    builder = open_directory(directory)
    with_instance = "instance" in builder.info.features
    batches = make_dataset(
        builder,
        split,
        batch_size=batch_size,
        load_size=load_size,
        crop_size=crop_size,
        training=Training(_SEED, flip=True),
        cache=True,
        with_instance=with_instance,
    ).take(num_batches)
    keys = ["image", "label"] + ["instance"] * with_instance
    records = [
        {key: record[key] for key in keys}
        for record in builder.as_dataset(
            split=split, decoders={key: tfds.decode.SkipDecoding() for key in keys}
        ).as_numpy_iterator()
    ]
    photographs = _photographs(records, batch_size).take(num_batches)
    loop = _pillow_loop(records, load_size, crop_size, batch_size)
    kinds: dict[str, Callable[[], Iterable[Any]]] = {
        "pipeline": lambda: batches,
        "jpeg_decode": lambda: photographs,
        "pillow_loop": lambda: itertools.islice(loop, num_batches),
    }
    settings = {
        "num_rounds": num_rounds,
        "images_per_round": batch_size * num_batches,
        "dataset": builder.info.full_name,
        "load_size": load_size,
        "crop_size": crop_size,
    }
    lines = [
        {"suite": "input", **line, **settings}
        for line in _lines(*_measure(kinds, batch_size * num_batches, num_rounds))
    ]
    print(*map(json.dumps, lines), sep="\n", file=output or sys.stdout, flush=True)
    return lines


def _photographs(records: list[dict[str, bytes]], batch_size: int) -> Any:
    """Batches of one pixel of each decoded photograph, without end."""
    import tensorflow as tf

    def decode(encoded):
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        return image[:1, :1]

    # As in `make_dataset`: otherwise the end of a round may wait for a sleeping thread.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        tf.data.Dataset.from_tensor_slices([record["image"] for record in records])
        .repeat()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )


def _lines(
    rates: dict[str, list[float]], processor_seconds: dict[str, list[float]]
) -> list[dict[str, Any]]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    baseline = statistics.median(rates["pillow_loop"])
    lines = []
    for kind, measured in rates.items():
        rate = statistics.median(measured)
        used = 1 if kind == "pillow_loop" else cores or 1
        milliseconds = 1e3 * statistics.median(processor_seconds[kind])
        lines.append(
            {
                "kind": kind,
                "images_per_second": round(rate, 1),
                "lowest": round(min(measured), 1),
                "highest": round(max(measured), 1),
                "num_cores": used,
                "images_per_second_per_core": round(rate / used, 1),
                "processor_ms_per_image": round(milliseconds, 2),
                "ratio_to_pillow_loop": round(rate / baseline, 2),
            }
        )
    return lines


def _measure(
    kinds: dict[str, Callable[[], Iterable[Any]]], num_images: int, num_rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Returns images per second and processor seconds per image of each round."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    processor: dict[str, list[float]] = {kind: [] for kind in kinds}
    # The first round fills caches and traces graphs, so it does not count.
    for round_number in range(num_rounds + 1):
        for kind, stream in kinds.items():
            start, start_processor = time.perf_counter(), time.process_time()
            # To its end: what it would prepare in advance must not run into another's time.
            for _ in stream():
                pass
            if round_number:
                rates[kind].append(num_images / (time.perf_counter() - start))
                processor[kind].append((time.process_time() - start_processor) / num_images)
    return rates, processor


def _pillow_loop(
    records: list[dict[str, bytes]], load_size: int, crop_size: int, batch_size: int
) -> Iterator[dict[str, Any]]:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(_SEED)
    stream = itertools.cycle(records)
    while True:
        examples: list[dict[str, Any]] = []
        for record in itertools.islice(stream, batch_size):
            top, left = rng.integers(0, load_size - crop_size + 1, 2)
            flip = rng.random() < 0.5
            example = {}
            for key, encoded in record.items():
                with Image.open(io.BytesIO(encoded)) as opened:
                    image = opened.convert("RGB") if key == "image" else opened
                    method = (
                        Image.Resampling.BICUBIC if key == "image" else Image.Resampling.NEAREST
                    )
                    array = np.asarray(image.resize((load_size, load_size), method))
                array = array[top : top + crop_size, left : left + crop_size]
                if flip:
                    array = array[:, ::-1]
                if key == "image":
                    array = array.astype(np.float32) / 127.5 - 1.0
                else:
                    array = array.astype(np.int32)
                example[key] = array
            examples.append(example)
        yield {key: np.stack([example[key] for example in examples]) for key in examples[0]}
