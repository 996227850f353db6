"""Makes batches from a prepared data set, in an order that only seed and position decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Unpack

import tensorflow as tf

from pipelines.reading import records as shards
from pipelines.reading import sizing, transforms
from pipelines.reading.examples import Example, Transform
from pipelines.reading.sizing import PREPROCESS as PREPROCESS
from pipelines.reading.sizing import Sizing
from pipelines.schema import ArgumentError, DataError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_AUTO_CACHE_BYTES = 256 * 2**20


class Training(NamedTuple):
    """How examples are drawn and augmented in training.

    Attributes:
        seed: int, decides the order and the augmentation.
        flip: whether to mirror half of the examples.
        color_jitter: 0 to 1, how far brightness, contrast and saturation may change; hue by a
            tenth of that, in turns.
        shuffle_buffer: int, at least 1, how many encoded records are shuffled together. Records
            that are kept in memory are all shuffled together.
    """

    seed: int
    flip: bool
    color_jitter: float = 0.0
    shuffle_buffer: int = 2048


def make_dataset(
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    batch_size: int,
    training: Training | None = None,
    start_step: int = 0,
    start_example: int = 0,
    cache: bool | str = "auto",
    with_instance: bool = False,
    with_canvas: bool = False,
    input_context: tf.distribute.InputContext | None = None,
    on_corrupt_record: str = "stop",
    **size: Unpack[Sizing],
) -> tf.data.Dataset:
    """Returns batches for training or evaluation.

    Training never ends. Each epoch shuffles the shards, and then the records, with a seed made of
    `training.seed` and the number of the epoch. An example is augmented (scaled, cropped, mirrored)
    with a seed made of `training.seed` and its position in the stream, counted over all epochs. So
    a stream that starts at `start_step` gives exactly what an uninterrupted one gives from there
    on. Records that are skipped for that are read but not decoded. Batches run across the ends of
    epochs.

    Evaluation is one pass in the order of storage, without random crops and mirroring. The last
    batch may be smaller.

    Several workers share the rows of each global batch: worker `i` of `n` decodes rows
    `[i B/n, (i+1) B/n)` alone, though it reads the records of all. Their batches, one after the
    other, are the batch that a single worker would have. Give each worker its own stream: call this
    function in `tf.distribute.Strategy.distribute_datasets_from_function`, which passes the
    `input_context`. `tf.distribute` then does not shard the stream again.

    Args:
        builder: of a prepared data set, as `pipelines.reading.prepared.open_dataset` returns it.
        split: such as `"train"`, or a part of it, such as `"train[:10]"`.
        batch_size: int, at least 1; the global batch where training is distributed.
        training: how examples are drawn and augmented; None for evaluation.
        start_step: int, at least 0, the number of batches to leave out.
        start_example: int, at least 0, the number of examples to leave out before those; they may
            have been in batches of another size.
        cache: whether the encoded records are kept in memory; `"auto"` keeps up to 256 MiB. This
            changes the order of the records.
        with_instance: whether batches hold `instance`.
        with_canvas: whether batches hold `canvas`.
        input_context: which worker this is, of how many; their number must divide `batch_size`.
            None for the only one.
        on_corrupt_record: `"stop"` or `"skip"`; see `pipelines.reading.records.read_records`.
        **size: how pictures get their size; see `pipelines.reading.sizing.Sizing`.

    Returns:
        Dataset of dictionaries: `image` float32 `[B, H, W, 3]`, -1 to 1; `label` int32
        `[B, H, W]`, or `condition` float32 `[B, H, W, C]`, 0 to 1, of data sets that have
        continuous maps instead; `instance` int32 `[B, H, W]`, if asked for; `canvas` float32
        `[B, H, W, 4]`, 0 to 1, if asked for: red, green and blue, and how much of the pixel is
        covered; all four are 0 where nothing is. `B` is `batch_size` divided by the number of
        workers. Shapes are static, except for the batch axis in evaluation and sizes that follow
        from the image.

    Raises:
        DataError: if an argument is out of range, the crop is larger than the loaded image, or
            the data set has no such split, no instance maps or no canvases.
    """
    _check_least(
        batch_size=(batch_size, 1),
        start_step=(start_step, 0),
        start_example=(start_example, 0),
        shuffle_buffer=(training.shuffle_buffer if training else 1, 1),
    )
    workers = input_context.num_input_pipelines if input_context else 1
    if batch_size % workers:
        raise ArgumentError(
            "batch_size",
            f"{batch_size} received, which {workers} input pipelines cannot share out "
            f"evenly; give a multiple of {workers}",
        )
    if cache not in (True, False, "auto"):
        raise ArgumentError("cache", f"{cache!r} received; give True, False or 'auto'")
    extra = ["instance"] * with_instance + ["canvas"] * with_canvas
    _check_features(builder, extra)
    operations = _operations(training, size)
    read, num_examples, cached = _records(builder, split, cache, extra, on_corrupt_record)
    start = start_example + start_step * batch_size
    if training:
        window = num_examples if cached else training.shuffle_buffer
        records = _shuffled_epochs(read, num_examples, start, training.seed, window)
    else:
        records = read(None).skip(start).enumerate(start)
    share = batch_size // workers
    if input_context and workers > 1:
        first = input_context.input_pipeline_id * share
        records = records.filter(
            lambda position, _: ((position - start) % batch_size - first) // share == 0
        )
    dataset = records.map(
        _preprocess(builder, operations, training.seed if training else 0),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = dataset.batch(share, drop_remainder=training is not None)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(_options(workers))


def _check_least(**given: tuple[int, int]) -> None:
    for name, (value, least) in given.items():
        if value < least:
            raise ArgumentError(name, f"{value} received; give {least} or more")


def _check_features(builder: tfds.core.DatasetBuilder, extra: Sequence[str]) -> None:
    ways_out = {
        "instance": "instance maps; turn instances off, or prepare it from a source that has them",
        "canvas": "canvases; compose them, or turn canvases off",
    }
    for key in extra:
        if key not in builder.info.features:
            raise DataError(
                f"with_{key}: True received, but {builder.info.full_name} has no {ways_out[key]}"
            )


def _operations(training: Training | None, size: Sizing) -> list[Transform]:
    """Returns what is done to each example."""
    if training is None:
        return [*sizing.evaluation_sizing(**size), transforms.normalize()]
    color_jitter = training.color_jitter
    if not 0 <= color_jitter <= 1:
        raise ArgumentError("color_jitter", f"{color_jitter} received; give 0 to 1")
    operations = sizing.training_sizing(flip=training.flip, **size)
    if color_jitter:
        operations.append(
            transforms.color_jitter(
                brightness=color_jitter,
                contrast=color_jitter,
                saturation=color_jitter,
                hue=color_jitter / 10,
            )
        )
    return [*operations, transforms.normalize()]


def _options(workers: int) -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # With autotuning, the end of a stream sometimes waited for seconds with all threads idle.
    # Without it, AUTOTUNE means as many calls as there are processors.
    options.autotune.enabled = False
    # Examples are computed in parallel already. Splitting up single operations too is slower.
    options.threading.max_intra_op_parallelism = 1
    # A single stream is shared out by the rows of its batches. A worker's stream is its share
    # already. Sharding by files does not work through the shuffled epochs.
    policy = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = policy.DATA if workers == 1 else policy.OFF
    return options


def record_names(builder: tfds.core.DatasetBuilder, split: str, count: int) -> list[str]:
    """Returns the names of the first examples, in the order in which evaluation goes through them.

    Args:
        builder: of a prepared data set.
        split: such as `"val"`.
        count: int, how many at most.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    decoders = {key: tfds.decode.SkipDecoding() for key in features if key != "name"}
    read, _ = shards.read_records(builder, split)
    return [
        features.deserialize_example(record, decoders=decoders)["name"].numpy().decode()
        for record in read(None).take(count)
    ]


def _records(
    builder: tfds.core.DatasetBuilder,
    split: str,
    cache: bool | str,
    extra: list[str],
    on_corrupt_record: str,
) -> tuple[Callable[[tf.Tensor | None], tf.data.Dataset], int, bool]:
    """Returns a reader of records whose images are still encoded, their number, whether cached."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys = [key for key in ("image", "label", "condition") if key in features]
    keys += extra
    decoders = {key: tfds.decode.SkipDecoding() for key in features if key != "name"}

    def parse(serialized: tf.Tensor) -> Example:
        record = features.deserialize_example(serialized, decoders=decoders)
        return {key: record[key] for key in keys}

    read, num_records = shards.read_records(builder, split, on_corrupt_record=on_corrupt_record)

    def parsed(shard_seed: tf.Tensor | None) -> tf.data.Dataset:
        return read(shard_seed).map(tf.autograph.experimental.do_not_convert(parse))

    num_bytes = builder.info.splits[split].num_bytes
    if cache is True or (cache == "auto" and num_bytes <= _AUTO_CACHE_BYTES):
        # One for all epochs.
        kept = parsed(None).cache()
        return lambda _: kept, num_records, True
    return parsed, num_records, False


def _shuffled_epochs(
    read: Callable[[tf.Tensor | None], tf.data.Dataset],
    num_examples: int,
    start: int,
    seed: int,
    shuffle_buffer: int,
) -> tf.data.Dataset:
    """Returns pairs of absolute position and record, from position `start` on, for ever."""
    first_epoch, offset = divmod(start, num_examples)

    def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
        # For this function's graph only: otherwise the global seed would change the order.
        tf.random.set_seed(1)
        epoch_seed = tf.random.stateless_uniform(
            (),
            seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
            minval=None,
            maxval=None,
            dtype=tf.int64,
        )
        records = read(epoch_seed)
        shuffled = records.shuffle(shuffle_buffer, seed=epoch_seed, reshuffle_each_iteration=False)
        return shuffled.skip(tf.where(epoch == first_epoch, tf.constant(offset, tf.int64), 0))

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(tf.autograph.experimental.do_not_convert(epoch_records)).enumerate(start)


def _preprocess(
    builder: tfds.core.DatasetBuilder, operations: list[Transform], seed: int
) -> Callable[[tf.Tensor, Example], Example]:
    def preprocess(position: tf.Tensor, record: Example) -> Example:
        example = {"seed": tf.stack([tf.constant(seed, tf.int64), position])}
        for key, encoded in record.items():
            feature = builder.info.features[key]
            example[key] = _decode(key, encoded, feature.tf_dtype, feature.shape[-1])
        for operation in operations:
            example = operation(example)
        del example["seed"]
        # Ids are widened last, so that what is cut away is not.
        for key in ("label", "instance"):
            if key in example:
                example[key] = tf.cast(example[key], tf.int32)
        return example

    # Autograph would turn the one-line errors of the operations into long ones.
    return tf.autograph.experimental.do_not_convert(preprocess)


def _decode(key: str, encoded: tf.Tensor, dtype: tf.DType, channels: int) -> tf.Tensor:
    if key == "image":
        # decode_jpeg reads PNG too. The accurate transform is the default of other libraries.
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    if key == "condition":
        condition = tf.io.decode_png(encoded, channels=channels, dtype=dtype)
        return tf.cast(condition, tf.float32) / float(dtype.max)
    if key == "canvas":
        # Colours are 0 where nothing covers the canvas, so scaling weighs them by how much does.
        return tf.cast(tf.io.decode_png(encoded, channels=4), tf.float32) / 255.0
    ids = tf.io.decode_png(encoded, channels=1, dtype=dtype)
    return tf.squeeze(ids, axis=-1)
