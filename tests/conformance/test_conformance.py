"""What holds of every public layer and network; the cases are in tests/helpers."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import VECTORS
from shapes_alone import shapes_alone

from spade_tf.layers.conditioning import Conditioning

# Two forms of one convolution may sum in another order: float32 rounding (6e-8) relative to the
# largest output, times what some ten layers and normalisations make of it.
ROUNDING = 2e-5


def flat(outputs):
    return [tf.convert_to_tensor(output).numpy() for output in keras.tree.flatten(outputs)]


def assert_same(actual, expected, tolerance=ROUNDING):
    actual, expected = flat(actual), flat(expected)
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        a, b = a.astype("float32"), b.astype("float32")
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def signatures(weights):
    return [(weight.name, tuple(weight.shape), weight.dtype) for weight in weights]


def is_float(tensor):
    return tf.as_dtype(tensor.dtype).is_floating


# The layer of each case and its weights, by the case's identity and the layer's precision.
_built: dict[tuple[int, str], tuple[keras.layers.Layer, list[np.ndarray]]] = {}


def built(case, dtype="float32"):
    """A layer whose weights are not as small as they start (gain 0.02), nor its biases zero."""
    if (id(case), dtype) not in _built:
        layer = case.make_built(dtype=dtype)
        for weight in layer.trainable_weights:
            start = weight.numpy()
            weight.assign(50.0 * start if start.ndim > 1 else np.linspace(0.1, 0.3, start.size))
        _built[id(case), dtype] = layer, layer.get_weights()
    layer, weights = _built[id(case), dtype]
    layer.set_weights(weights)
    return layer


@pytest.fixture
def layer(case):
    return built(case)


def test_config_round_trip(case):
    with shapes_alone():
        layer = case.make(name="a_name")
        config = layer.get_config()
        clone = type(layer).from_config(config)
    assert clone.get_config() == config
    for argument, value in case.config.items():
        if isinstance(value, Conditioning):
            value = value._asdict()
        expected = list(value) if isinstance(value, tuple) else value
        assert expected == (
            list(config[argument]) if isinstance(value, tuple) else config[argument]
        )


def test_config_holds_every_constructor_argument(case):
    parameters = inspect.signature(case.layer_class.__init__).parameters.values()
    arguments = {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD} - {"self"}
    with shapes_alone():
        assert arguments <= set(case.make().get_config())


def test_serializable(case):
    name = keras.saving.get_registered_name(case.layer_class)
    assert name == f"spade_tf>{case.layer_class.__name__}"
    with shapes_alone():
        layer = case.make()
        serialized = keras.saving.serialize_keras_object(layer)
        clone = keras.saving.deserialize_keras_object(serialized)
    assert type(clone) is case.layer_class
    assert clone.get_config() == layer.get_config()


def test_documented(case):
    assert case.layer_class.__doc__
    arguments = inspect.signature(case.layer_class.__init__).parameters
    for argument in set(arguments) - {"self", "kwargs"}:
        assert f"{argument}: " in case.layer_class.__doc__


def test_build_makes_all_weights(case, layer):
    built = signatures(layer.weights)
    case.call(layer, case.tensors(), training=True)
    assert signatures(layer.weights) == built
    with shapes_alone():
        made = case.make()
    if not made.built:
        made = case.make()
        case.call(made, case.tensors(), training=False)
    assert signatures(made.weights) == built


def test_building_a_network_again_changes_nothing(network_case):
    with shapes_alone():
        network = network_case.make()
        weights = list(map(id, network.weights))
        assert weights
        network.build((None, None, None, 6))
    assert list(map(id, network.weights)) == weights


def test_weight_names_are_unique(case, layer):
    paths = [weight.path for weight in layer.weights]
    assert len(set(paths)) == len(paths)


def test_inference(case, layer):
    before = layer.get_weights()
    outputs = case.call(layer, case.tensors(), training=False)
    for output in flat(outputs):
        assert output.dtype == "float32"
        assert np.isfinite(output).all()
    shapes = layer.compute_output_shape(*case.output_shape_arguments)
    assert flat_shapes(shapes) == [tuple(tensor.shape) for tensor in keras.tree.flatten(outputs)]
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def flat_shapes(shapes):
    if not shapes or isinstance(shapes[0], int | None):
        return [tuple(shapes)]
    return [shape for each in shapes for shape in flat_shapes(each)]


def test_symbolic_call(case):
    """On `keras.Input`, as in any functional model: the same as eagerly, in the shape it says."""
    check_symbolic_call(case, known_size=True, dtype="mixed_bfloat16")


def test_symbolic_call_of_unknown_sizes(layer_case):
    """Networks of unknown sizes are traced, and run as graphs, by another test below."""
    check_symbolic_call(layer_case, known_size=False, dtype="float32")


def check_symbolic_call(case, known_size, dtype):
    layer = built(case, dtype)
    inputs = case.tensors()

    def symbolic(name, tensor):
        _, *shape = tensor.shape
        if not known_size and len(shape) > 1 and name not in VECTORS:
            shape[:2] = [None, None]
        return keras.Input(shape, dtype=tensor.dtype.name, name=name)

    symbols = {name: symbolic(name, tensor) for name, tensor in inputs.items()}
    outputs = case.call_with_tensors(layer, symbols)
    model = keras.Model(symbols, outputs)
    expected = keras.tree.flatten(case.call_with_tensors(layer, inputs))
    actual = keras.tree.flatten(model(inputs))
    said = keras.tree.flatten(outputs)
    assert len(said) == len(actual) == len(expected)
    for symbol, a, b in zip(said, actual, expected, strict=True):
        assert tf.TensorShape(symbol.shape).is_compatible_with(a.shape)
        assert not known_size or symbol.shape[1:] == tuple(a.shape[1:])
        assert symbol.dtype == a.dtype.name == b.dtype.name
        # The same operations on the same numbers.
        np.testing.assert_array_equal(tf.cast(a, tf.float32), tf.cast(b, tf.float32))


def test_tensors_in_place_of_semantics(case, layer):
    if case.call_plainly is None:
        pytest.skip("is called with tensors anyway")
    plainly = case.call_with_tensors(layer, case.tensors())
    assert_same(plainly, case.call(layer, case.tensors(), training=False), tolerance=0)


def test_training_step(case, layer):
    inputs = case.tensors()
    sources = [weight.value for weight in layer.trainable_weights]
    if not sources:
        sources = [tensor for tensor in inputs.values() if is_float(tensor)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = keras.tree.flatten(case.call(layer, inputs, training=True))
        # The sum of a normalised map is constant, so weight it.
        slopes = [tf.reshape(tf.linspace(0.5, 1.0, tf.size(y)), tf.shape(y)) for y in outputs]
        loss = tf.add_n(
            [tf.reduce_sum(y * slope) for y, slope in zip(outputs, slopes, strict=True)]
        )
    for source, gradient in zip(sources, tape.gradient(loss, sources), strict=True):
        assert gradient is not None, source
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_mixed_precision(case):
    layer = built(case, "mixed_bfloat16")
    assert layer.compute_dtype == "bfloat16"
    for weight in layer.weights:
        assert not is_float(weight) or weight.dtype == "float32", weight.path
    for training in (True, False):
        outputs = keras.tree.flatten(case.call(layer, case.tensors(), training=training))
        for output in outputs:
            assert output.dtype == ("float32" if case.float32_output else "bfloat16")
            assert np.isfinite(tf.cast(output, tf.float32)).all()


def test_function_equals_eager_in_training(case, layer):
    state = layer.get_weights()
    eager = case.call(layer, case.tensors(), training=True)
    eager_state = layer.get_weights()
    layer.set_weights(state)
    function = tf.function(lambda inputs: case.call(layer, inputs, training=True), autograph=False)
    assert_same(function(case.tensors()), eager)
    assert_same(layer.get_weights(), eager_state)


def test_examples_are_independent_at_inference(case, layer):
    case.call(layer, case.tensors(), training=True)
    together = case.call(layer, case.tensors(), training=False)
    for index in range(2):
        one = {name: tensor[index : index + 1] for name, tensor in case.tensors().items()}
        alone = case.call(layer, one, training=False)
        assert_same(alone, [y[index : index + 1] for y in keras.tree.flatten(together)])


def test_function_of_unknown_sizes_equals_eager_at_inference(case, layer):
    inputs = case.tensors()
    specs = {
        name: tf.TensorSpec(
            [None] * min(tensor.shape.rank, 3) + tensor.shape.as_list()[3:], tensor.dtype
        )
        if tensor.shape.rank > 2 and name not in VECTORS
        else tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
        for name, tensor in inputs.items()
    }
    function = tf.function(
        lambda inputs: case.call(layer, inputs, training=False),
        input_signature=[specs],
        autograph=False,
    )
    expected = case.call(layer, inputs, training=False)
    assert_same(function(inputs), expected)
    said = keras.tree.flatten(function.get_concrete_function().structured_outputs)
    for spec, tensor in zip(said, keras.tree.flatten(expected), strict=True):
        assert spec.dtype == tensor.dtype
        assert spec.shape.is_compatible_with(tensor.shape)
        assert spec.shape[-1] == tensor.shape[-1]


def test_weights_are_saved_and_restored(case, tmp_path):
    if issubclass(case.layer_class, keras.Model):
        pytest.skip("a network is saved whole, by the test below")

    class Wrapper(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = case.make_built()
            self.built = True

        def call(self, inputs):
            return case.call(self.layer, inputs, training=False)

    trained, restored = Wrapper(), Wrapper()
    # Updates the state that is not trained: running statistics, singular vectors.
    case.call(trained.layer, case.tensors(), training=True)
    trained.save_weights(tmp_path / "model.weights.h5")
    restored.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(trained.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same(restored(case.tensors()), trained(case.tensors()), tolerance=0)


def test_network_file_round_trip(network_case, tmp_path):
    network = built(network_case)
    network_case.call(network, network_case.tensors(), training=True)
    network.save(tmp_path / "network.keras")
    restored = keras.saving.load_model(tmp_path / "network.keras")
    expected = network_case.call(network, network_case.tensors(), training=False)
    actual = network_case.call(restored, network_case.tensors(), training=False)
    assert_same(actual, expected, tolerance=0)
