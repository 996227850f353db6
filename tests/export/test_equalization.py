import numpy as np
import pytest
from edge_networks import make_layouts, shared_generator

from spade_tf.export.litert.edge_form import edge_form
from spade_tf.export.litert.equalization import equalize
from spade_tf.export.litert.functions import edge_functions, edge_inputs
from spade_tf.export.litert.model import LiteRTModel
from spade_tf.export.litert.report import report


def pictures(edge, inputs):
    made = [edge(inputs=each["semantics"], z=each.get("z"), training=False) for each in inputs]
    return np.concatenate(made)


@pytest.mark.parametrize(
    "name", ["spade_bilinear_reflect", "clade", "shared_spade", "conditional_batch", "concat"]
)
def test_pictures_stay_and_kernels_change(name):
    generator = shared_generator(name)
    edge = edge_form(generator)
    inputs = edge_inputs(generator, make_layouts(generator, 2))
    expected = pictures(edge, inputs)
    kernel = edge.blocks[-1].conv_1.kernel.numpy()
    equalize(edge, inputs)
    # Float32 sums of other numbers; what lies before tanh is a few units large.
    np.testing.assert_allclose(pictures(edge, inputs), expected, atol=2e-5)
    # The affine normalisation of "concat" sees no label map, and stays.
    assert np.array_equal(edge.blocks[-1].conv_1.kernel, kernel) == (name == "concat")


def test_each_channel_has_the_range_of_its_weights():
    generator = shared_generator("spade_with_edges_and_style")
    edge = edge_form(generator)
    inputs = edge_inputs(generator, make_layouts(generator, 2))
    equalize(edge, inputs)
    block, seen = edge.blocks[-1], []
    call = block.spade_1.call
    block.spade_1.__dict__["call"] = lambda *args, **kwargs: (
        seen.append(np.abs(call(*args, **kwargs)).max((0, 1, 2))) or call(*args, **kwargs)
    )
    pictures(edge, inputs)
    weights = np.abs(block.conv_1.kernel).max((0, 1, 3))
    # Both are the square root of their product; float32 through a dozen layers.
    np.testing.assert_allclose(np.max(seen, 0), weights, rtol=1e-3)


def test_a_large_channel_costs_int8_no_digits():
    """One channel 40 times as large, and its weights a 40th, as trained networks come to have."""
    generator = shared_generator("spade")
    inputs = edge_inputs(generator, make_layouts(generator, 4))
    decibels = []
    for equalized in (False, True):
        edge = edge_form(generator)
        for block in edge.blocks:
            factors = np.ones(block.conv_1.kernel.shape[2])
            factors[0] = 40.0
            assert block.spade_1.scale(factors)
            block.conv_1.kernel.assign(block.conv_1.kernel / factors[:, None].astype("float32"))
        if equalized:
            equalize(edge, inputs)
        dense = edge_functions(edge)[0]
        given = [{name: each[name] for name in dense.inputs} for each in inputs]
        model = LiteRTModel(dense.convert("int8", given))
        facts = report(
            model, inputs, pictures(edge, inputs), output="image", peak=2.0, smallest_psnr=0.0
        )
        decibels.append(facts["against_keras"]["psnr_db"])
    # 40 times is 5 of the 8 bits; each bit is 6 dB of what that layer adds to the error.
    assert decibels[1] > decibels[0] + 4, decibels
