"""Distillation: a small generator, the student, is trained from a large one, its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.semantics import Semantics
from spade_tf.losses.distillation import distillation_feature_loss, distillation_output_loss
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.styles import styled
from spade_tf.training.accumulation import Losses
from spade_tf.training.gaugan import GauGAN


class Teacher:
    """A trained generator to learn from. It is neither trained nor saved.

    It is not a layer, so that a model that holds it does not own the teacher's weights.

    Args:
        generator: the trained generator, with averaged weights if there are any.
        encoder: the encoder of its styles; None if it has none.

    Example:
        >>> import numpy as np
        >>> from spade_tf import Semantics, SPADEGenerator
        >>> from spade_tf.training import Teacher
        >>> teacher = Teacher(SPADEGenerator(3, image_size=(32, 32), filters=1))
        >>> semantics = Semantics(3, label=np.zeros((1, 32, 32), "int32"))
        >>> image, features = teacher(semantics, z=None, with_features=True)
        >>> tuple(image.shape), len(features)
        ((1, 32, 32, 3), 7)
    """

    def __init__(self, generator: keras.Model, encoder: keras.Model | None = None):
        self.generator = generator
        self.encoder = encoder

    def __call__(
        self, semantics: Semantics, z: tf.Tensor | None, with_features: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Its picture in inference mode, and its features if `with_features`."""
        if not with_features:
            return self.generator(inputs=semantics, z=z, training=False), []
        return self.generator(inputs=semantics, z=z, training=False, return_features=True)


class FeatureProjections(keras.layers.Layer):
    """1x1 convolutions from a student's features to its teacher's.

    There is one for each resolution at which both have blocks. It maps the output of the student's
    last block there to the teacher's. They are trained with the student, but are not part of it.

    Args:
        student: a `SPADEGenerator`.
        teacher: a `SPADEGenerator` that makes pictures of the same size.

    Call arguments:
        student_features: outputs of the student's blocks, in order.
        teacher_features: outputs of the teacher's blocks, in order.

    Returns:
        Two lists of feature maps of the same shapes: the student's projected, and the teacher's.
    """

    def __init__(self, student: SPADEGenerator, teacher: SPADEGenerator, **kwargs):
        super().__init__(**kwargs)
        # If several blocks have one scale, the last one is used.
        ours = {scale: index for index, scale in enumerate(student.block_scales)}
        theirs = {scale: index for index, scale in enumerate(teacher.block_scales)}
        scales = [scale for scale in ours if scale in theirs]
        self.pairs = [(ours[scale], theirs[scale]) for scale in scales]
        self.convs = [
            keras.layers.Conv2D(
                teacher.widths[theirs[scale]],
                1,
                kernel_initializer=xavier_normal(1.0),
                dtype="float32",
                name=f"scale_{scale}",
            )
            for scale in scales
        ]
        for conv, (index, _) in zip(self.convs, self.pairs, strict=True):
            conv.build((None, None, None, student.widths[index]))
        self.built = True

    def call(
        self, student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor]
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Pairs the student's projected features with the teacher's."""
        projected = [
            conv(tf.cast(student_features[index], tf.float32))
            for conv, (index, _) in zip(self.convs, self.pairs, strict=True)
        ]
        return projected, [teacher_features[index] for _, index in self.pairs]


class DistilledGauGAN(GauGAN):
    """Trains a student as `GauGAN` does, and also from a teacher.

    Student and teacher get the same label map and the same style z. In addition to the losses of
    `GauGAN`, the student minimises `output_weight` times the L1 distance of the two pictures, and
    `feature_weight` times the relative squared distance of their blocks' features. Learned 1x1
    convolutions project the student's features first. The discriminator sees real pictures and
    the student's. The teacher shows what is possible with these styles; real pictures are the goal.

    Styles are the teacher's. If the teacher has an encoder, the student's is a frozen copy of it,
    and there is no KL divergence. So z means the same to both, and the student can be used without
    the teacher.

    Args:
        generator: the student. Its labels, edges, image size and `z_dim` must equal the teacher's.
        discriminator: see `GauGAN`.
        encoder: same architecture as the teacher's, whose weights it gets; None if there is none.
        teacher: the trained model to learn from.
        output_weight: float >= 0. Default 10.
        feature_weight: float >= 0. Default 1. Unless it is 0, each must be a `SPADEGenerator`.
        **kwargs: arguments of `GauGAN`.

    Raises:
        ValueError: if the student cannot learn from the teacher.

    Reference: Li et al. 2020, section 3.1, https://arxiv.org/abs/2003.08936; differs: student and
        discriminator start from random weights; features are compared relative to their size; the
        picture is compared with the teacher's, while the discriminator sees real pictures.

    Example:
        >>> from spade_tf import MultiscaleDiscriminator, SPADEGenerator
        >>> from spade_tf.training import DistilledGauGAN, Teacher
        >>> def generator(filters):
        ...     return SPADEGenerator(3, image_size=(32, 32), filters=filters)
        >>> model = DistilledGauGAN(
        ...     generator(1),
        ...     MultiscaleDiscriminator(3, filters=1, num_layers=2),
        ...     teacher=Teacher(generator(2)),
        ... )
        >>> len(model.projections.convs)
        6
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        encoder: keras.Model | None = None,
        *,
        teacher: Teacher,
        output_weight: float = 10.0,
        feature_weight: float = 1.0,
        **kwargs,
    ):
        _check_pair(generator, teacher.generator)
        if (encoder is None) != (teacher.encoder is None):
            has = ["no encoder" if e is None else "an encoder" for e in (encoder, teacher.encoder)]
            raise ValueError(
                "student and teacher must both have an encoder or both have none: received "
                f"{has[0]} for the student and {has[1]} for the teacher"
            )
        super().__init__(generator, discriminator, encoder, **kwargs)
        self.teacher = teacher
        self.output_weight = output_weight
        self.feature_weight = feature_weight
        self.projections = None
        if feature_weight:
            if not all(isinstance(g, SPADEGenerator) for g in (generator, teacher.generator)):
                raise ValueError(
                    "the feature loss needs two SPADEGenerators: received the student "
                    f"{type(generator).__name__} and the teacher "
                    f"{type(teacher.generator).__name__}; give feature_weight=0"
                )
            self.projections = FeatureProjections(generator, teacher.generator, name="projections")
        if encoder is not None:
            _copy(teacher.encoder, encoder)
            encoder.trainable = False

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """Trainable weights of the student and of the projections."""
        projections = self.projections.trainable_variables if self.projections else []
        return super().generator_weights + projections

    def checkpoint_groups(self) -> dict[str, list[keras.Variable]]:
        """Those of `GauGAN`, and the projections."""
        groups = super().checkpoint_groups()
        if self.projections is not None:
            groups["projections"] = self.projections.variables
        return groups

    def get_config(self) -> dict[str, Any]:
        """A model that holds a teacher cannot be made again from a configuration.

        Raises:
            ValueError: always, with what to save instead.
        """
        raise ValueError(
            "a DistilledGauGAN is not saved as a whole, since its teacher is no part of it: save "
            "its generator, or its Checkpoints"
        )

    def generator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        training: bool = True,
        noise: tf.Tensor | None = None,
        draws: tf.Tensor | None = None,
        class_weights: tf.Tensor | None = None,
        warmup: bool = False,
    ) -> Losses:
        """The student's weighted losses by name."""
        style, _ = self.style(semantics, real_image, noise=noise, training=training)
        # Both have the same styles, as `_check_pair` sees to.
        inputs = styled(self.generator, semantics, style)
        projections = self.projections
        target, teacher_features = self.teacher(
            inputs["inputs"], inputs["z"], projections is not None
        )
        features = []
        if projections is None:
            fake_image = self.generator(**inputs, training=training)
        else:
            fake_image, features = self.generator(**inputs, training=training, return_features=True)
        losses = self.picture_losses(
            semantics,
            real_image,
            fake_image,
            training=training,
            draws=draws,
            class_weights=class_weights,
            warmup=warmup,
        )
        if self.output_weight:
            losses["generator/distillation_output"] = self.output_weight * distillation_output_loss(
                fake_image, target
            )
        if projections is not None:
            losses["generator/distillation_feature"] = (
                self.feature_weight
                * distillation_feature_loss(*projections(features, teacher_features))
            )
        return losses


def _check_pair(student: keras.Model, teacher: keras.Model) -> None:
    names = ("num_labels", "use_instance_edges", "image_size", "z_dim", "class_style_dim")
    for name in names:
        # Other generators than SPADE's have no styles of classes.
        ours, theirs = (getattr(network, name, 0) for network in (student, teacher))
        if ours != theirs:
            raise ValueError(
                f"student and teacher must have the same {name}: received {ours} for the "
                f"student and {theirs} for the teacher"
            )


def _copy(source: keras.Model, target: keras.Model) -> None:
    shapes = [[tuple(variable.shape) for variable in net.variables] for net in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "the student's encoder must have the same architecture as the teacher's: received "
            f"{target.count_params()} weights for the student, {source.count_params()} for the "
            "teacher"
        )
    for variable, other in zip(target.variables, source.variables, strict=True):
        variable.assign(other)
