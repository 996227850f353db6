import random
from functools import cache, partial

import keras
import numpy as np
import paper_networks
import pytest
import tensorflow as tf
from shapes_alone import shapes_alone
from small_networks import same, values

from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.training.adam import adam
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.distillation import DistilledGauGAN, FeatureProjections, Teacher
from spade_tf.training.options import Updates

LOSSES = {
    "generator/adversarial",
    "generator/feature_matching",
    "generator/distillation_output",
    "generator/distillation_feature",
    "discriminator/fake",
    "discriminator/real",
}
SHARED = {"num_labels": 3, "image_size": (32, 32), "use_instance_edges": True, "z_dim": 6}
ENCODER = {"z_dim": 6, "filters": 2, "image_size": (32, 32), "num_layers": 3}
# The conditioning that is traced fastest.
CLADE = {"conditioning": "clade"}
# Nothing but rounding moves these: what they add, the batch norm that follows takes away, or, while
# the hinge is open, real and fake pull with the same force.
WITHOUT_GRADIENT = ("/conv_0/bias", "/logits/bias")


batch = partial(paper_networks.batch, side=32, runs=(55, 29))


def make_teacher(with_encoder=True, settled=True, **kwargs):
    """Gives a network singular vectors and batch statistics that match its weights."""
    random.seed(7)
    generator = SPADEGenerator(**SHARED | CLADE | kwargs, filters=4, name="generator")
    encoder = ConvEncoder(**ENCODER) if with_encoder else None
    if settled and not kwargs:
        z = tf.constant(np.sin(np.arange(24.0)).reshape(4, 6), tf.float32)
        inputs = {name: batch()[name] for name in ("label", "instance")}
        for _ in range(3):
            generator(inputs, z=z, training=True)
    return Teacher(generator, encoder)


@cache
def shared_teacher():
    """Of many students: none changes it, as a test shows."""
    return make_teacher()


def make(teacher=None, with_encoder=True, dtype=None, optimizer=None, average=False, **kwargs):
    teacher = teacher or shared_teacher()
    random.seed(0)
    generators = [
        SPADEGenerator(**SHARED | CLADE, filters=2, dtype=dtype, name=name)
        for name in ("generator", "average_generator")[: 1 + average]
    ]
    model = DistilledGauGAN(
        generators[0],
        MultiscaleDiscriminator(3, use_instance_edges=True, filters=4, num_layers=2, dtype=dtype),
        ConvEncoder(**ENCODER) if with_encoder else None,
        teacher=teacher,
        average_generator=generators[1] if average else None,
        **kwargs,
    )
    optimizer = optimizer or (lambda: adam(1e-2))
    model.compile(optimizer(), optimizer())
    return model


@pytest.fixture(scope="module")
def model():
    return make(output_weight=3.0, feature_weight=2.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after two steps, what it started from, and a checkpoint of it."""
    model = make(average=True)
    teacher = model.teacher.generator.variables + model.teacher.encoder.variables
    before = values(model.generator_weights), values(teacher)
    losses = [model.train_step(batch()) for _ in range(2)]
    directory = tmp_path_factory.mktemp("checkpoints")
    Checkpoints(model, directory).save(2)
    return model, before, losses, directory


def test_steps_train_all_of_the_student_and_nothing_of_the_teacher(trained):
    model, (student, teacher), losses, _ = trained
    for step in losses:
        assert set(step) == LOSSES
        assert all(np.isfinite(loss) for loss in step.values())
    assert {id(weight) for weight in model.generator_weights} == {
        id(weight)
        for part in (model.generator, model.projections)
        for weight in part.trainable_variables
    }
    for weight, kept in zip(
        model.generator_weights, same(student, values(model.generator_weights)), strict=True
    ):
        assert np.isfinite(weight.numpy()).all(), weight.path
        assert weight.path.endswith(WITHOUT_GRADIENT) or not kept, weight.path
    networks = model.teacher.generator, model.teacher.encoder
    assert all(same(teacher, values([v for network in networks for v in network.variables])))
    # The student's encoder stays a copy, singular vectors included.
    assert all(same(values(networks[1].variables), values(model.encoder.variables)))


def test_a_checkpoint_holds_no_teacher_and_restores_the_rest(trained):
    model, _, _, directory = trained
    ours = {id(weight) for weight in model.variables}
    assert not ours & {id(weight) for weight in model.teacher.generator.variables}
    reader = tf.train.load_checkpoint(str(directory))
    names = [name for name in reader.get_variable_to_shape_map() if "/" in name]
    groups = {name.split("/")[0] for name in names} - {"save_counter"}
    assert groups == {
        *("generator", "average_generator", "discriminator", "encoder", "projections"),
        *("generator_optimizer", "discriminator_optimizer", "training"),
    }
    # By count as well: each tensor is one of the student's, or how often was saved.
    own = [model.generator, model.average_generator, model.discriminator, model.encoder]
    own += [model.projections, model.generator_optimizer, model.discriminator_optimizer]
    step, rates, saved = 1, 2, 1
    assert len(names) == sum(len(part.variables) for part in own) + step - rates + saved
    other = make(average=True)
    assert Checkpoints(other, directory).restore_latest() == 2
    assert all(same(values(model.variables), values(other.variables)))
    slots = [m.generator_optimizer.variables for m in (model, other)]
    assert all(same(*map(values, slots)))


def test_every_gradient_is_finite_and_none_is_zero(model):
    semantics, real = model.semantics(batch()), batch()["image"]
    weights = model.generator_weights
    with tf.GradientTape() as tape:
        total = tf.add_n(list(model.generator_losses(semantics, real).values()))
    gradients = tape.gradient(total, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert weight.path.endswith(WITHOUT_GRADIENT) or np.abs(gradient).max() > 0, weight.path


def test_losses_are_the_formulas(model):
    """The losses computed by numpy from the networks' outputs."""
    semantics, real = model.semantics(batch()), batch()["image"]
    noise = tf.constant(np.linspace(-1, 1, 24).reshape(4, 6), tf.float32)
    mu, logvar = model.teacher.encoder(real, training=False)
    z = mu + tf.exp(0.5 * logvar) * noise
    target, theirs = model.teacher.generator(
        inputs=semantics, z=z, training=False, return_features=True
    )
    fake, ours = model.generator(inputs=semantics, z=z, training=False, return_features=True)
    losses = model.generator_losses(semantics, real, training=False, noise=noise)
    expected = 3.0 * np.abs(fake.numpy() - target.numpy()).mean()
    np.testing.assert_allclose(losses["generator/distillation_output"], expected, rtol=1e-5)
    # 1, 2, 4, 8, 16 and 32 pixels; at 2 there are two blocks, and the last one counts.
    relative = []
    for conv, index in zip(model.projections.convs, (0, 2, 3, 4, 5, 6), strict=True):
        kernel, bias = (weight.numpy() for weight in conv.weights)
        projected = ours[index].numpy() @ kernel[0, 0] + bias
        error = ((projected - theirs[index].numpy()) ** 2).mean((1, 2, 3))
        # 1e-8 is of the formula, and counts where the features of a fresh network are small.
        relative.append((error / ((theirs[index].numpy() ** 2).mean((1, 2, 3)) + 1e-8)).mean())
    # Sums in float32, in another order.
    np.testing.assert_allclose(
        losses["generator/distillation_feature"], 2.0 * np.mean(relative), rtol=1e-5
    )
    # What the base class reports it reports alike, but for the KL divergence.
    fake_features, _ = model.discriminate(semantics, fake, real)
    logits = [-scale[-1].numpy().mean() for scale in fake_features]
    # Means of logits of both signs: rounding is of their size, not of what is left of them.
    scale = np.mean([np.abs(scale[-1].numpy()).mean() for scale in fake_features])
    np.testing.assert_allclose(
        losses["generator/adversarial"], np.mean(logits), rtol=0, atol=1e-5 * scale
    )
    assert "generator/kl" not in losses


def test_styles_are_the_teacher_s(model):
    image, semantics = batch()["image"], model.semantics(batch())
    ours, theirs = model.encoder(image), model.teacher.encoder(image)
    np.testing.assert_array_equal(ours[0], theirs[0])
    for training in (False, True):
        z, style = model.style(semantics, image, noise=tf.zeros([4, 6]), training=training)
        np.testing.assert_array_equal(z, theirs[0])
        np.testing.assert_array_equal(style[1], theirs[1])
    assert model.encoder is not model.teacher.encoder


def test_without_an_encoder_styles_are_drawn_and_a_weight_of_0_leaves_its_loss_out():
    model = make(make_teacher(with_encoder=False), with_encoder=False, feature_weight=0.0)
    assert model.projections is None
    assert len(model.generator_weights) == len(model.generator.trainable_variables)
    seen, call = [], model.teacher.generator.call

    def spy(inputs, z=None, **kwargs):
        seen.append(z)
        return call(inputs, z=z, **kwargs)

    model.teacher.generator.call = spy
    losses = model.generator_losses(model.semantics(batch()), batch()["image"])
    assert set(losses) == LOSSES - {
        "generator/distillation_feature",
        "discriminator/fake",
        "discriminator/real",
    }
    np.testing.assert_array_equal(seen, [model.noise(4, 0)])


def test_features_are_compared_where_both_have_blocks():
    wide = SPADEGenerator(**SHARED | {"image_size": (64, 64)}, **CLADE, filters=4)
    deep = SPADEGenerator(
        **SHARED | {"image_size": (64, 64)}, **CLADE, filters=2, num_upsampling_layers="more"
    )
    assert wide.block_scales == [32, 16, 16, 8, 4, 2, 1]
    assert deep.block_scales == [64, 32, 16, 8, 4, 2, 1]
    projections = FeatureProjections(deep, wide)
    assert projections.pairs == [(1, 0), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]
    inputs = {"label": tf.zeros([1, 64, 64], tf.int32), "instance": None}
    features = [g(inputs, z=tf.zeros([1, 6]), return_features=True)[1] for g in (deep, wide)]
    ours, theirs = projections(*features)
    assert [tuple(map.shape) for map in ours] == [tuple(map.shape) for map in theirs]
    assert [map.shape[1] for map in ours] == [2, 4, 8, 16, 32, 64]


def test_parts_of_a_batch_in_mixed_precision_learn_from_the_teacher_too():
    model = make(dtype="mixed_bfloat16", updates=Updates(accumulation_steps=2))
    before = values(model.generator_weights)
    losses = model.train_step(batch())
    assert set(losses) == LOSSES
    assert all(loss.dtype == tf.float32 and np.isfinite(loss) for loss in losses.values())
    for weight, kept in zip(
        model.generator_weights, same(before, values(model.generator_weights)), strict=True
    ):
        assert weight.path.endswith(WITHOUT_GRADIENT) or not kept, weight.path


def fresh(with_encoder=True, **kwargs):
    return make_teacher(with_encoder, settled=False, **kwargs)


@pytest.mark.parametrize(
    ("teacher", "kwargs", "message"),
    [
        (lambda: fresh(num_labels=4), {}, "same num_labels: received 3 .* and 4"),
        (lambda: fresh(image_size=(32, 64)), {}, r"image_size: received \(32, 32\)"),
        (lambda: fresh(use_instance_edges=False), {}, "use_instance_edges"),
        (
            lambda: Teacher(SPADEGenerator(**SHARED | {"z_dim": 5}, filters=2), None),
            {"with_encoder": False},
            "same z_dim: received 6 .* and 5",
        ),
        (lambda: fresh(with_encoder=False), {}, "received an encoder .* and no encoder for"),
        (
            lambda: Teacher(fresh().generator, ConvEncoder(**ENCODER | {"filters": 3})),
            {},
            "the same architecture as the teacher's",
        ),
        (
            lambda: Teacher(
                Pix2PixHDGenerator(
                    **SHARED, filters=2, num_downsamplings=2, num_blocks=1, conditioning="adain"
                ),
                fresh().encoder,
            ),
            {},
            "Pix2PixHDGenerator; give feature_weight=0",
        ),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(teacher, kwargs, message):
    with shapes_alone(), pytest.raises(ValueError, match=message) as caught:
        make(teacher(), **kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.distributed
def test_two_replicas_equal_one_with_the_same_global_batch(two_replicas):
    """Teacher and projections included."""

    def sgd():
        # Adam would hide a wrong scale of the gradients, and enlarge the rounding of tiny ones.
        return keras.optimizers.SGD(0.01)

    one = make(optimizer=sgd)
    start = values(one.variables)
    expected = one.train_step(batch())
    once = values(one.variables)
    with two_replicas.scope():
        copy = make_teacher(settled=False)
        for part in ("generator", "encoder"):
            variables = [getattr(of, part).variables for of in (copy, one.teacher)]
            for variable, other in zip(*variables, strict=True):
                variable.assign(other)
        two = make(copy, optimizer=sgd)
    teacher = values(two.teacher.generator.variables)
    assert all(same(start, values(two.variables)))

    dataset = tf.data.Dataset.from_tensors(batch())
    (example,) = two_replicas.experimental_distribute_dataset(dataset)
    losses = two_replicas.run(two.train_step, args=(example,))
    actual = {name: two_replicas.reduce("mean", loss, axis=None) for name, loss in losses.items()}
    for name in LOSSES:
        # Means over a batch of four in two halves: float32 rounding.
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, err_msg=name)
    compared = 0
    for before, a, b in zip(start, once, two.variables, strict=True):
        moved = np.abs(a - before).max()
        if moved > 0 and not b.path.endswith(WITHOUT_GRADIENT):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-2 * moved, err_msg=b.path)
            compared += 1
    assert compared > 150
    for variable in two.projections.variables:
        copies = two_replicas.experimental_local_results(variable.value)
        np.testing.assert_array_equal(copies[0], copies[1], err_msg=variable.path)
    assert all(same(teacher, values(two.teacher.generator.variables)))
