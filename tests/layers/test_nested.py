from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.nested import nested_layers
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock


def test_all_layers_at_any_depth():
    """Keras's own walk is private: this notices if it goes, or finds something else."""
    block = SPADEResnetBlock(4, 3, conditioning=Conditioning(hidden_filters=2), name="block")
    block.build((None, None, None, 4))
    spade = ["spade_{}", "normalization", "modulation", "shared", "gamma", "beta"]
    names = [layer.name for layer in nested_layers(block)]
    assert names[0] == "block"
    expected = [name.format(index) for index in range(2) for name in spade]
    assert sorted(names) == sorted(["block", "conv_0", "conv_1", *expected])
    assert len({id(layer) for layer in nested_layers(block)}) == len(names)
