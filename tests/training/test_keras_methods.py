"""`fit`, `evaluate`, `predict`, `save` and `load_model` of `GauGAN`, as of any Keras model."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import SIZE, make_small, same, small_batch, values

from spade_tf.layers.nested import nested_layers
from spade_tf.loading import load_model
from spade_tf.losses.perceptual import PerceptualLoss
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.training.adam import adam
from spade_tf.training.augmentation import DiffAugment
from spade_tf.training.gaugan import GauGAN
from spade_tf.training.guard import NonFiniteGuard
from spade_tf.training.options import LossWeights, Updates
from spade_tf.training.schedules import ConstantThenLinear

# Float32 sums in another order, by a graph in place of eager operations or by two devices.
ROUNDING = {"rtol": 2e-5, "atol": 2e-6}


def dataset(size=8, batch_size=4):
    examples = tf.data.Dataset.from_tensor_slices(small_batch(size))
    return examples.batch(batch_size)


def sgd():
    return keras.optimizers.SGD(1e-2)


def means(records, sizes=None):
    return {
        name: np.average([float(record[name]) for record in records], weights=sizes)
        for name in records[0]
    }


def assert_close(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, **ROUNDING, err_msg=name)


def test_fit_takes_the_steps_and_logs_their_means():
    fitted, stepped = make_small(optimizer=sgd), make_small(optimizer=sgd)
    history = fitted.fit(dataset(), epochs=2, verbose=0).history
    for epoch in range(2):
        expected = means([stepped.train_step(batch) for batch in dataset()])
        assert_close({name: record[epoch] for name, record in history.items()}, expected)
    assert int(fitted.step.numpy()) == 4
    for a, b in zip(values(fitted.variables), values(stepped.variables), strict=True):
        np.testing.assert_allclose(a, b, **ROUNDING)


def test_evaluate_gives_means_over_all_examples():
    """The batches are of 4 and 2 examples, so that neither the last nor their plain mean is it."""
    model = make_small(average=True)
    batches = list(dataset(6))
    expected = means([model.evaluation_losses(batch) for batch in batches], [4, 2])
    before = values(model.generator.variables + model.discriminator.variables)
    for _ in range(2):
        assert_close(model.evaluate(dataset(6), verbose=0, return_dict=True), expected)
    assert all(same(before, values(model.generator.variables + model.discriminator.variables)))
    assert_close(
        model.test_on_batch(small_batch(), return_dict=True),
        means([model.evaluation_losses(small_batch())]),
    )


def test_validation_follows_each_epoch():
    model = make_small()
    history = model.fit(dataset(), validation_data=dataset(6), verbose=0).history
    now = model.evaluate(dataset(6), verbose=0, return_dict=True)
    assert_close(
        {name: record[0] for name, record in history.items() if name.startswith("val_")},
        {f"val_{name}": value for name, value in now.items()},
    )


def test_predict_is_the_averaged_generator_s_inference():
    model = make_small(average=True)
    for variable in model.average_generator.trainable_variables:
        variable.assign(0.5 * variable)
    label, z = small_batch(6)["label"].numpy(), np.linspace(-1, 1, 24).reshape(6, 4)
    actual = model.predict({"label": label, "z": z.astype("float32")}, batch_size=4, verbose=0)
    expected = model.average_generator(inputs=model.semantics({"label": label}), z=z)
    np.testing.assert_allclose(actual, expected, **ROUNDING)


def test_keras_callbacks_reach_both_learning_rates(tmp_path):
    model = make_small(optimizer=sgd)
    model.discriminator_optimizer.learning_rate = 4e-2
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    watched = {"monitor": "generator/kl", "mode": "min", "patience": 0, "min_delta": 9.0}
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.1, **watched)
    stop = keras.callbacks.EarlyStopping(**watched)
    files = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    history = model.fit(
        dataset(), epochs=5, verbose=0, callbacks=[scheduler, plateau, stop, files]
    ).history
    # The first epoch is better than none, the second no better than the first.
    assert len(history["generator/kl"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.weights.h5", "2.weights.h5"]
    np.testing.assert_allclose(model.generator_optimizer.learning_rate, 1e-2 / 4 / 10)
    np.testing.assert_allclose(model.discriminator_optimizer.learning_rate, 4e-2 / 4 / 10)
    assert float(model.optimizer.learning_rate) == float(model.generator_optimizer.learning_rate)
    assert int(model.optimizer.iterations.numpy()) == 4


def test_every_layer_is_built():
    """Else Keras would first call the model on a mean of the devices' label maps."""
    networks = [
        SPADEGenerator(3, (32, 32), filters=1, z_dim=4),
        MultiscaleDiscriminator(3, filters=1, num_layers=2),
        ConvEncoder(4, filters=1, image_size=(16, 16), num_layers=2),
    ]
    model = GauGAN(*networks, guard=NonFiniteGuard())
    unbuilt = [layer.name for layer in nested_layers(model) if not layer.built]
    assert not unbuilt


def test_no_other_optimizer_stands_in_the_model():
    model = make_small(optimizer=sgd)
    assert model.optimizer.generator is model.generator_optimizer
    assert model.optimizer.discriminator is model.discriminator_optimizer
    model.summary(print_fn=lambda *args, **kwargs: None)


@pytest.mark.distributed
def test_fit_evaluate_and_predict_on_two_devices_are_as_on_one(two_replicas):
    def run(model):
        history = model.fit(dataset(), epochs=2, verbose=0).history
        # One device gets the only example of the last batch.
        scores = model.evaluate(dataset(5), verbose=0, return_dict=True)
        inputs = {"label": small_batch(6)["label"].numpy(), "z": np.ones([6, 4], "float32")}
        return history, scores, model.predict(inputs, batch_size=4, verbose=0)

    one = make_small(norm="instance", optimizer=sgd, average=True)
    with two_replicas.scope():
        two = make_small(norm="instance", optimizer=sgd, average=True)
    (expected_history, expected_scores, expected), (history, scores, actual) = run(one), run(two)
    for epoch in range(2):
        assert_close(
            {name: record[epoch] for name, record in history.items()},
            {name: record[epoch] for name, record in expected_history.items()},
        )
    assert_close(scores, expected_scores)
    np.testing.assert_allclose(actual, expected, **ROUNDING)


@keras.saving.register_keras_serializable("tests")
class Features(keras.layers.Layer):
    """The picture, scaled by a weight that no configuration holds."""

    def build(self, shape):
        self.scale = self.add_weight(name="scale", trainable=False)

    def call(self, image):
        return [image * self.scale]


def make_full(**kwargs):
    features = Features()
    features.build((None, SIZE, SIZE, 3))
    features.scale.assign(0.25)
    model = make_small(
        average=True,
        perceptual_loss=PerceptualLoss(features, [2.0]),
        loss_weights=LossWeights(kl=0.5, r1=0.25),
        updates=Updates(discriminator_steps=2, clip_norm=3.0, average_decay=0.9),
        augment=DiffAugment(["color"]),
        guard=NonFiniteGuard(name="guard"),
        seed=11,
        **kwargs,
    )
    model.compile(
        adam(ConstantThenLinear(1e-3, 20, 10), 0.5),
        keras.optimizers.LossScaleOptimizer(adam(2e-3)),
        steps_per_execution=2,
    )
    return model


def test_a_saved_model_continues_as_the_one_that_was_saved(tmp_path):
    """All that a step depends on comes back: weights, averages, optimizers, options, the step."""
    model = make_full()
    model.train_step(small_batch())
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for each in ("get_config", "get_compile_config"):
        # As files hold them: lists in place of tuples.
        saved, read = (json.dumps(getattr(which, each)()) for which in (model, loaded))
        assert saved == read
    for network in ("generator", "discriminator", "encoder", "average_generator"):
        saved, read = (values(getattr(each, network).variables) for each in (model, loaded))
        assert all(same(saved, read)), network
    expected, actual = model.train_step(small_batch()), loaded.train_step(small_batch())
    assert {name: float(loss) for name, loss in actual.items()} == {
        name: float(loss) for name, loss in expected.items()
    }
    for name in ("generator", "discriminator", "average_generator"):
        networks = (getattr(each, name).variables for each in (model, loaded))
        assert all(same(*map(values, networks))), name
    for name in ("generator_optimizer", "discriminator_optimizer"):
        optimizers = (getattr(each, name).variables for each in (model, loaded))
        assert all(same(*map(values, optimizers))), name
    assert int(loaded.step.numpy()) == 2


def test_a_configuration_makes_an_equal_model_with_weights_of_its_own():
    model = make_full()
    made = GauGAN.from_config(model.get_config())
    assert made.get_config() == model.get_config()
    assert made.generator is not model.generator
    assert not made.compiled
    assert [variable.shape for variable in made.variables] == [
        variable.shape for variable in model.variables
    ]


def test_arrays_are_taken_as_they_are():
    model = make_small(optimizer=sgd)
    arrays = {name: tensor.numpy() for name, tensor in small_batch(8).items()}
    arrays = {"image": arrays["image"].astype("float64"), "label": arrays["label"].astype("uint8")}
    model.fit(arrays, batch_size=4, verbose=0)
    model.train_on_batch(arrays)
    assert int(model.step.numpy()) == 3
    with pytest.raises(ValueError, match=r"image must be float in .* received uint8; divide it"):
        model.train_step(arrays | {"image": arrays["image"].astype("uint8")})


def test_what_keras_could_not_make_again_is_named():
    def difference(real, fake):
        return tf.reduce_mean(tf.abs(real - fake))

    model = make_small(perceptual_loss=difference)
    with pytest.raises(ValueError, match=r"cannot be saved with perceptual_loss=.*decorate"):
        model.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_weights": LossWeights(kl=-1.0)}, r"LossWeights.kl must be >= 0: received -1.0"),
        ({"loss_weights": LossWeights(kl_examples=0)}, "kl_examples must be > 0: received 0"),
        ({"updates": Updates(discriminator_steps=0)}, "discriminator_steps must be >= 1: .* 0"),
        ({"updates": Updates(clip_norm=-2.0)}, "Updates.clip_norm must be >= 0: received -2.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_small(**options)


def test_default_optimizers_are_the_paper_s():
    model = make_small()
    model.compile()
    for optimizer, rate in (
        (model.generator_optimizer, 1e-4),
        (model.discriminator_optimizer, 4e-4),
    ):
        assert isinstance(optimizer, keras.optimizers.Adam)
        np.testing.assert_allclose(optimizer.learning_rate, rate, rtol=1e-6)
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.999)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer='sgd' received, .* give generator_optimizer"),
        ({"loss": "mse"}, "loss='mse' received, which would have no effect"),
        ({"metrics": ["mae"]}, r"metrics=\['mae'\] received"),
        ({"generator_optimizer": "nadir"}, "nadir"),
    ],
)
def test_compile_refuses_what_would_have_no_effect(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_small().compile(**arguments)


def test_compile_takes_optimizers_by_name_and_each_its_own():
    model = make_small()
    model.compile("sgd", "rmsprop")
    assert isinstance(model.generator_optimizer, keras.optimizers.SGD)
    assert isinstance(model.discriminator_optimizer, keras.optimizers.RMSprop)
    shared = keras.optimizers.SGD()
    with pytest.raises(ValueError, match="one optimizer received for both"):
        model.compile(shared, shared)


def test_a_step_before_compile_says_so():
    compiled = make_small()
    model = GauGAN(compiled.generator, compiled.discriminator, compiled.encoder)
    for step in (
        model.train_step,
        lambda batch: model.update_discriminator(model.semantics(batch), batch["image"]),
    ):
        with pytest.raises(ValueError, match=r"call compile\(\) before training steps"):
            step(small_batch())
