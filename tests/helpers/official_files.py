"""Comparisons for tests of official checkpoints."""

import numpy as np
import pytest

from spade_tf.convert.nvlabs.checkpoint import ConversionError, load_networks
from spade_tf.convert.torch_file import read_state_dict


def assert_same_variables(networks, others):
    for network, other in zip(networks, others, strict=True):
        assert (network is None) == (other is None)
        if network is not None:
            for a, b in zip(network.variables, other.variables, strict=True):
                assert (a.path.split("/", 1)[1], a.dtype) == (b.path.split("/", 1)[1], b.dtype)
                np.testing.assert_array_equal(a.numpy(), b.numpy())


def assert_same_files(folder, other):
    files = sorted(path.name for path in folder.glob("*.pth"))
    assert files
    assert files == sorted(path.name for path in other.glob("*.pth"))
    for file in files:
        before, after = read_state_dict(folder / file), read_state_dict(other / file)
        assert list(before) == list(after)
        for name in before:
            assert before[name].dtype == after[name].dtype
            assert before[name].shape == after[name].shape
            assert before[name].tobytes() == after[name].tobytes()


def refused(folder, match, **arguments):
    with pytest.raises(ConversionError, match=match) as caught:
        load_networks(folder, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
