import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.efficientnet_lite import EfficientNetLiteFeatures


@pytest.mark.parametrize(
    ("architecture", "filters", "parameters"),
    [
        # Published: 4.652 M (lite0) and 6.092 M (lite2), of which the classifier has 1.281 M; a
        # batch norm's scale and shift are one bias here: half of its numbers less.
        ("lite0", [16, 24, 40, 80, 112, 192, 320], 4_652_008 - 1_281_000),
        ("lite2", [16, 24, 48, 88, 120, 208, 352], 6_092_072 - 1_281_000),
    ],
)
def test_sizes(architecture, filters, parameters):
    network = EfficientNetLiteFeatures(
        architecture, layers=[f"stage{n}" for n in range(1, 8)] + ["pooled"]
    )
    *stages, pooled = network(np.zeros([1, 64, 64, 3], np.float32))
    assert [stage.shape[-1] for stage in stages] == filters
    assert [64 // stage.shape[1] for stage in stages] == [2, 4, 8, 16, 16, 32, 32]
    assert pooled.shape == (1, 1280)
    biases = sum(int(np.prod(w.shape)) for w in network.weights if w.name.endswith("bias"))
    weights = sum(int(np.prod(w.shape)) for w in network.weights)
    assert weights + biases == parameters


def test_ends_at_the_deepest_layer():
    network = EfficientNetLiteFeatures("lite0", layers=["stage2"])
    network.build((None, None, None, 3))
    assert network.conv_names[-1] == "block2_project"


def test_gradients_pass_and_nothing_is_trainable():
    network = EfficientNetLiteFeatures("lite0", layers=["stage3"])
    image = tf.random.stateless_uniform([1, 32, 32, 3], [0, 1], -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_sum(network(image)[0])
    assert float(tf.reduce_max(tf.abs(tape.gradient(loss, image)))) > 0
    network.trainable = True
    assert not network.trainable_weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "b0"}, "lite0, lite1, lite2; received 'b0'"),
        ({"layers": ["stage8"]}, "received"),
        ({"layers": "pooled"}, "received 'pooled'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        EfficientNetLiteFeatures(**options)


def test_refuses_gray_pictures():
    with pytest.raises(ValueError, match="3 channels"):
        EfficientNetLiteFeatures()(np.zeros([1, 32, 32, 1], np.float32))
