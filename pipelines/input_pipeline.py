"""Batches from a prepared data set, in an order that is a pure function of seed and position."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from pipelines import transforms
from pipelines.schema import DataError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_AUTO_CACHE_BYTES = 256 * 2**20

Size = int | tuple[int, int]


def make_dataset(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    batch_size: int,
    load_size: Size | None,
    crop_size: Size,
    flip: bool,
    seed: int,
    training: bool,
    start_step: int = 0,
    shuffle_buffer: int = 2048,
    cache: bool | str = "auto",
    with_instance: bool = False,
) -> tf.data.Dataset:
    """Returns batches for training or evaluation.

    Training goes on for ever: each epoch shuffles the records with a seed made of `seed` and the
    number of the epoch, and an example is augmented (scaled to `load_size`, cropped at random,
    mirrored) with a seed made of `seed` and its position in the stream, counted over all epochs.
    So the stream from `start_step` on is exactly what an uninterrupted one goes on with; records
    skipped for that are read but not decoded. Batches run across the ends of epochs.

    Evaluation is one pass in the order of storage, scaled to `crop_size`, neither cropped nor
    mirrored; the last batch may be smaller.

    Args:
        builder: of a prepared data set, as `pipelines.prepare.open_dataset` returns it.
        split: such as `"train"`, or a part of it, such as `"train[:10]"`.
        batch_size: int, at least 1; the global batch where training is distributed.
        load_size: height and width that the image is scaled to before it is cropped, in pixels
            (one number for a square), or None to crop it as it is. For training only.
        crop_size: height and width of what is returned, in pixels (one number for a square).
        flip: whether to mirror half of the examples. For training only.
        seed: int. For training only.
        training: whether the batches are for training or for evaluation.
        start_step: int, at least 0, the number of batches to leave out.
        shuffle_buffer: int, at least 1, how many encoded records are shuffled among one another.
            For training only.
        cache: whether the encoded records are kept in memory; `"auto"` does up to 256 MiB.
        with_instance: whether batches hold `instance`.

    Returns:
        Dataset of dictionaries: `image` float32 `[B, H, W, 3]`, -1 to 1; `label` int32
        `[B, H, W]`; `instance` int32 `[B, H, W]`, if asked for. Shapes are static, except for the
        batch axis in evaluation.

    Raises:
        DataError: if an argument is out of range, the crop is larger than the loaded image, or
            the data set has no such split or no instance maps.
    """
    height, width = _pair("crop_size", crop_size)
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("start_step", start_step, 0),
        ("shuffle_buffer", shuffle_buffer, 1),
    ):
        if value < least:
            raise DataError(f"{name}: {value} received; give {least} or more")
    if cache not in (True, False, "auto"):
        raise DataError(f"cache: {cache!r} received; give True, False or 'auto'")
    if with_instance and "instance" not in builder.info.features:
        raise DataError(
            f"with_instance: True received, but {builder.info.full_name} has no instance maps; "
            "turn instances off, or prepare it from a source that has them"
        )

    records, num_examples = _records(builder, split, cache, with_instance)
    start = start_step * batch_size
    if training:
        operations = [transforms.random_crop(height, width)]
        if load_size is not None:
            load_height, load_width = _pair("load_size", load_size)
            if height > load_height or width > load_width:
                raise DataError(
                    f"crop_size: {height}x{width} received, larger than load_size "
                    f"{load_height}x{load_width} (height x width); lower it or raise load_size"
                )
            operations.insert(0, transforms.resize(load_height, load_width))
        if flip:
            operations.append(transforms.random_flip())
        records = _shuffled_epochs(records, num_examples, start, seed, shuffle_buffer)
    else:
        operations = [transforms.resize(height, width)]
        records = records.skip(start).enumerate(start)
    operations.append(transforms.normalize())

    dataset = records.map(
        _preprocess(builder, operations, seed),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = dataset.batch(batch_size, drop_remainder=training).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.deterministic = True
    # The files cannot be told apart behind the shuffled epochs, so workers share out the examples.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def _pair(name: str, size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise DataError(f"{name}: {height}x{width} (height x width) received; give 1 or more")
    return height, width


def _records(
    builder: tfds.core.DatasetBuilder, split: str, cache: bool | str, with_instance: bool
) -> tuple[tf.data.Dataset, int]:
    """Returns the records of a split, their images still encoded, and how many they are."""
    import tensorflow_datasets as tfds

    try:
        info = builder.info.splits[split]
    except (KeyError, ValueError):
        raise DataError(
            f"split: {split!r} is not in {builder.info.full_name}; give one of "
            f"{', '.join(builder.info.splits)}, or a part such as 'train[:10]'"
        ) from None
    if info.num_examples == 0:
        raise DataError(f"split: {split!r} of {builder.info.full_name} is empty; give another")
    keys = ["image", "label"] + ["instance"] * with_instance
    records = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={
            key: tfds.decode.SkipDecoding() for key in builder.info.features if key != "name"
        },
        # A cache below this one, put there by TFDS for small data sets, would be a second copy.
        read_config=tfds.ReadConfig(try_autocache=False),
    ).map(lambda record: {key: record[key] for key in keys})
    if cache is True or (cache == "auto" and info.num_bytes <= _AUTO_CACHE_BYTES):
        records = records.cache()
    return records, info.num_examples


def _shuffled_epochs(
    records: tf.data.Dataset, num_examples: int, start: int, seed: int, shuffle_buffer: int
) -> tf.data.Dataset:
    """Returns pairs of absolute position and record, from position `start` on, for ever."""
    first_epoch, offset = divmod(start, num_examples)

    def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
        # Within this function's graph only: otherwise the global seed would enter into the order.
        tf.random.set_seed(1)
        epoch_seed = tf.random.stateless_uniform(
            (),
            seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
            minval=None,
            maxval=None,
            dtype=tf.int64,
        )
        shuffled = records.shuffle(shuffle_buffer, seed=epoch_seed, reshuffle_each_iteration=False)
        return shuffled.skip(tf.where(epoch == first_epoch, tf.constant(offset, tf.int64), 0))

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(tf.autograph.experimental.do_not_convert(epoch_records)).enumerate(start)


def _preprocess(
    builder: tfds.core.DatasetBuilder, operations: list[transforms.Transform], seed: int
) -> Callable[[tf.Tensor, transforms.Example], transforms.Example]:
    def preprocess(position: tf.Tensor, record: transforms.Example) -> transforms.Example:
        example = {"seed": tf.stack([tf.constant(seed, tf.int64), position])}
        for key, encoded in record.items():
            example[key] = _decode(key, encoded, builder.info.features[key].tf_dtype)
        for operation in operations:
            example = operation(example)
        del example["seed"]
        return example

    # Without it, autograph would turn the one-line errors of the operations into long ones.
    return tf.autograph.experimental.do_not_convert(preprocess)


def _decode(key: str, encoded: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    if key == "image":
        # This one reads PNG as well. The accurate transform is what other libraries default to.
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.cast(image, tf.float32)
    ids = tf.io.decode_png(encoded, channels=1, dtype=dtype)
    return tf.cast(tf.squeeze(ids, axis=-1), tf.int32)
