"""Which example comes when: by seed, epoch, step and worker, whether resumed or not."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from prepared_batches import assert_same, batches, names

InputContext = tf.distribute.InputContext

NUM_TRAIN = 13


@pytest.mark.parametrize("start_step", [1, 4, 7, 9, 26])
@pytest.mark.parametrize("cache", [False, True])
def test_resumed_equals_uninterrupted(builder, start_step, cache):
    uninterrupted = batches(builder, start_step + 6, cache=cache)
    resumed = batches(builder, 6, start_step=start_step, cache=cache)
    assert_same(resumed, uninterrupted[start_step:])


def test_resumed_equals_uninterrupted_with_a_small_shuffle_buffer(builder):
    uninterrupted = batches(builder, 12, shuffle_buffer=4)
    assert_same(batches(builder, 5, start_step=7, shuffle_buffer=4), uninterrupted[7:])


@pytest.fixture(scope="module")
def sharded(make_builder):
    """Twenty-four records in as many shards, more than are read at a time."""
    return make_builder(num_train=24, num_val=1, shard_bytes=1)


def test_shards_come_in_another_order_in_each_epoch(sharded):
    # Without a window, what is seen is the order of the shards.
    options = {"cache": False, "shuffle_buffer": 1, "batch_size": 4}
    uninterrupted = batches(sharded, 18, **options)
    stream = names(uninterrupted)
    epochs = [stream[i : i + 24] for i in range(0, len(stream), 24)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    # The last shards are not always the last to be read.
    assert len({frozenset(epoch[16:]) for epoch in epochs}) == 3
    for start in (1, 7, 13):
        assert_same(batches(sharded, 5, start_step=start, **options), uninterrupted[start:][:5])
    assert names(batches(sharded, 6, **options, seed=2)) != epochs[0]
    shares = [batches(sharded, 18, **options, input_context=InputContext(2, i)) for i in (0, 1)]
    for whole, first, second in zip(uninterrupted, *shares, strict=True):
        np.testing.assert_array_equal(
            whole["image"], np.concatenate([first["image"], second["image"]])
        )


def test_records_in_memory_are_all_shuffled_among_one_another(sharded):
    options = {"cache": True, "shuffle_buffer": 1, "batch_size": 4}
    assert_same(
        batches(sharded, 6, **options), batches(sharded, 6, **{**options, "shuffle_buffer": 24})
    )


def test_the_stream_depends_on_its_seed_alone(builder):
    streams = []
    for global_seed in (0, 123):
        tf.random.set_seed(global_seed)
        streams.append(batches(builder, 8))
    assert_same(*streams)
    assert names(batches(builder, 8, seed=2)) != names(streams[0])


def test_every_epoch_holds_each_example_once_in_another_order(builder):
    stream = names(batches(builder, 13))
    epochs = [stream[i : i + NUM_TRAIN] for i in range(0, len(stream), NUM_TRAIN)]
    assert len(epochs) == 3
    for epoch in epochs:
        assert sorted(epoch) == list(range(NUM_TRAIN))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_another_batch_size_goes_on_at_the_next_example(builder):
    singly = batches(builder, 24, batch_size=1)
    expected = [
        {key: np.concatenate([part[key] for part in singly[i : i + 4]]) for key in singly[0]}
        for i in (10, 14, 18)
    ]
    assert_same(batches(builder, 3, batch_size=4, start_example=10), expected)
    assert_same(batches(builder, 2, batch_size=4, start_example=10, start_step=1), expected[1:])


@pytest.mark.parametrize("num_workers", [2, 3, 6])
@pytest.mark.parametrize("training", [True, False])
def test_workers_share_out_the_rows_of_each_batch(builder, num_workers, training):
    # From an example on that batches of this size would not begin with.
    options = {"batch_size": 6, "start_example": 2, "start_step": 1, "training": training}
    count = 7 if training else None
    whole = batches(builder, count, **options)
    workers = [
        batches(
            builder,
            count,
            input_context=InputContext(num_workers, worker),
            **options,
        )
        for worker in range(num_workers)
    ]
    joined = [
        {key: np.concatenate([part[key] for part in parts if part]) for key in whole[0]}
        for parts in itertools.zip_longest(*workers)
    ]
    assert_same(joined, whole)
    if training:
        assert workers[0][0]["image"].shape[0] == 6 // num_workers


def test_workers_decode_their_rows_alone(builder, monkeypatch):
    decoded = []
    decode = tf.io.decode_png

    def counting(encoded, *args, **kwargs):
        tf.py_function(lambda: decoded.append(1), [], [])
        return decode(encoded, *args, **kwargs)

    monkeypatch.setattr(tf.io, "decode_png", counting)
    options = {"split": "val", "training": False, "batch_size": 4}
    counts = []
    for worker in range(2):
        decoded.clear()
        batches(builder, input_context=InputContext(2, worker), **options)
        # Label and instance map of each example.
        counts.append(len(decoded) // 2)
    assert counts == [3, 2]


def test_batch_larger_than_the_data_set(builder):
    (batch,) = batches(builder, 1, batch_size=30)
    assert batch["image"].shape == (30, 8, 10, 3)
    counts = np.bincount(names([batch]), minlength=NUM_TRAIN)
    # Two whole epochs and four examples of a third.
    assert sorted(counts) == [2] * 9 + [3] * 4
    resumed = batches(builder, 1, batch_size=30, start_step=2)
    assert_same(resumed, batches(builder, 3, batch_size=30)[2:])
