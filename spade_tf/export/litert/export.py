"""LiteRT (TFLite) models for phones and browsers, measured before they are written.

`generator_VARIANT.tflite` takes `semantics`, float `[1, H, W, C]`: one-hot labels, and a channel of
instance edges where they are used. Variants that take ids take `label`, int32 `[1, H, W]`, and
`instance` instead. Where there are styles, both take `z`, `[1, z_dim]`, and `class_styles`,
`[1, N, D]`, the style of each class. They give `image`, `[1, H, W, 3]` in [-1, 1].
`encoder_VARIANT.tflite` takes such an `image`, and gives `z`, the mean of its style. Encoders of
the styles of classes have no such model.

A model is shipped if it is near enough to what Keras makes of the same layouts, if all of its
operations run on GPUs (except variants that take ids, which are for processors), and, in float16,
if no activation is too large for the type.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spade_tf.export.errors import ExportError
from spade_tf.export.litert.edge_form import edge_form, float32_copy
from spade_tf.export.litert.equalization import equalize
from spade_tf.export.litert.functions import edge_functions, edge_inputs, encoder_function
from spade_tf.export.litert.meanings import add_meanings, plain_label_map
from spade_tf.export.litert.model import LiteRTModel, import_interpreter
from spade_tf.export.litert.report import activation_report, objections, report
from spade_tf.export.litert.variants import VARIANTS, check_variants
from spade_tf.layers.semantics import Semantics

_ENCODER_VARIANTS = ("float32", "float16")
# Seed of the styles that models are compared in.
_SEED = 0
# Pictures that show how large each channel gets.
_EQUALIZATION_EXAMPLES = 8


def export_litert(
    generator: keras.Model,
    output_dir: str | os.PathLike[str],
    *,
    layouts: Sequence[Any],
    calibration_layouts: Sequence[Any],
    encoder: keras.Model | None = None,
    photographs: Sequence[np.ndarray] = (),
    variants: Sequence[str] = tuple(VARIANTS),
    allow_below_bound: Sequence[str] = (),
    one_hot: bool = True,
    description: Mapping[str, Any] | None = None,
    on_model: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> Path:
    """Writes `output_dir/litert/N/`, whole or not at all: `.tflite` files, a JSON beside each.

    Args:
        generator: a `SPADEGenerator` or `Pix2PixHDGenerator`.
        output_dir: of this model.
        layouts: real ones, to compare with Keras on: generator inputs, a batch of one each.
        calibration_layouts: others, from which "int8" takes the ranges of activations.
        encoder: of styles; None for none.
        photographs: float32 `[1, H, W, 3]` in [-1, 1] each, to compare the encoder on.
        variants: names of `VARIANTS`; "int8" is left out where there are styles of classes.
        allow_below_bound: names of those that may be shipped though they miss a bound. Their JSON
            then says so.
        one_hot: bool, whether the generator sees labels; False for continuous maps.
        description: what every JSON says of the model; `label_map` is `plain_label_map` by default.
        on_model: called with the name and the report of each model when it is made.

    Returns:
        The directory of the version.

    Raises:
        ExportError: naming the models that must not be shipped and why, or what cannot be done.

    Example:
        >>> from spade_tf.export import export_litert
        >>> export_litert(  # doctest: +SKIP
        ...     generator, "saved_models/mine", layouts=layouts, calibration_layouts=layouts
        ... )
    """
    import_interpreter()
    check_variants(variants, allow_below_bound)
    if not one_hot:
        variants = [name for name in variants if not VARIANTS[name].takes_ids]
    if getattr(generator, "class_style_dim", 0):
        # The styles of classes are a kernel that is an input, which LiteRT's int8 has none of.
        variants = [name for name in variants if VARIANTS[name].quantization != "int8"]
        if not variants:
            raise ExportError(
                "--variants=int8: it does not go with styles of classes; give dynamic_int8"
            )
    if not layouts:
        raise ExportError("layouts: none to compare with Keras on; give at least one")
    models = _generator_models(generator, layouts, calibration_layouts, variants, one_hot, on_model)
    if encoder is not None and photographs:
        names = [name for name in _ENCODER_VARIANTS if name in variants]
        models.update(_encoder_models(encoder, photographs, names, on_model))
    _add_objections(models, variants, allow_below_bound)
    described = {"label_map": plain_label_map(generator.num_labels)} if one_hot else {}
    for _, facts in models.values():
        facts.update(described | dict(description or {}))
    return _write(Path(output_dir), models)


def _add_objections(models, variants, allow_below_bound):
    """Adds `objections` to the facts. Raises an ExportError if one is not allowed."""
    refused = {}
    for name, (_, facts) in models.items():
        variant = _variant(name)
        for_gpu = not VARIANTS[variant].takes_ids
        facts["objections"] = objections(name, facts, for_gpu=for_gpu)
        if facts["objections"] and variant not in allow_below_bound:
            refused[name] = facts["objections"]
    if refused:
        names = sorted({_variant(name) for name in refused})
        rest = [name for name in variants if name not in names]
        raise ExportError(
            f"{'; '.join(chain.from_iterable(refused.values()))}: nothing written; leave out with "
            f"--variants={','.join(rest)}, or ship as they are, marked, with "
            f"--allow_below_bound={','.join(names)}"
        )


def _variant(name):
    return name.split("_", 1)[1]


def _generator_models(generator, layouts, calibration_layouts, variants, one_hot, on_model):
    edge = edge_form(generator, one_hot=one_hot)
    inputs = edge_inputs(generator, layouts, _SEED)
    calibration = edge_inputs(generator, calibration_layouts, _SEED + 1)
    if "int8" in variants and calibration:
        equalize(edge, calibration[:_EQUALIZATION_EXAMPLES], one_hot=one_hot)
    dense, ids = edge_functions(edge)
    representative = [{name: example[name] for name in dense.inputs} for example in calibration]
    reference = float32_copy(generator)

    @partial(tf.function, autograph=False)
    def predict(inputs, z, class_styles):
        if class_styles is not None:
            semantics = Semantics.from_inputs(
                inputs,
                num_labels=generator.num_labels,
                use_instance_edges=generator.use_instance_edges,
            )
            inputs = semantics.with_class_styles(class_styles)
        return reference(inputs=inputs, z=z, training=False)

    expected = np.concatenate(
        [
            predict(layout, example.get("z"), example.get("class_styles")).numpy()
            for layout, example in zip(layouts, inputs, strict=True)
        ]
    )
    activations = None
    models = {}
    for name in variants:
        variant = VARIANTS[name]
        function = ids if variant.takes_ids else dense
        content = function.convert(variant.quantization, representative)
        model = LiteRTModel(content)
        facts = report(
            model,
            inputs,
            expected,
            output="image",
            peak=2.0,
            smallest_psnr=variant.smallest_psnr,
        )
        if name in ("float32", "float16"):
            if activations is None:
                # Activations of the float32 model: in float16, infinity would hide the number.
                model = model if name == "float32" else LiteRTModel(function.convert("float32"))
                activations = activation_report(model, inputs)
            facts["activations"] = activations
        add_meanings(facts, generator, one_hot=one_hot)
        models[f"generator_{name}"] = content, facts
        if on_model is not None:
            on_model(f"generator_{name}", facts)
    return models


def _encoder_models(encoder, photographs, variants, on_model):
    function = encoder_function(encoder)
    inputs = [{"image": np.asarray(photograph, "float32")} for photograph in photographs]
    expected = np.concatenate([function.call(**example)["z"].numpy() for example in inputs])
    # Styles have no fixed range, so their spread takes the place of the signal's peak.
    peak = float(np.ptp(expected)) or 1.0
    models = {}
    for name in variants:
        variant = VARIANTS[name]
        content = function.convert(variant.quantization)
        facts = report(
            LiteRTModel(content),
            inputs,
            expected,
            output="z",
            peak=peak,
            smallest_psnr=variant.smallest_psnr,
        )
        facts["inputs"][0]["meaning"] = "a photograph, RGB in [-1, 1]: value / 127.5 - 1"
        facts["outputs"][0]["meaning"] = "the mean of its style: z of the generator"
        models[f"encoder_{name}"] = content, facts
        if on_model is not None:
            on_model(f"encoder_{name}", facts)
    return models


def _write(output_dir, models):
    root = output_dir / "litert"
    try:
        root.mkdir(parents=True, exist_ok=True)
        versions = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
        target = root / str(max(versions, default=0) + 1)
        with tempfile.TemporaryDirectory(dir=root, prefix=".litert-") as scratch:
            staged = Path(scratch) / "models"
            staged.mkdir()
            for name, (content, facts) in models.items():
                (staged / f"{name}.tflite").write_bytes(content)
                facts = {"file": f"{name}.tflite", **facts}
                (staged / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
            os.replace(staged, target)
    except OSError as error:
        raise ExportError(
            f"--output_dir={output_dir}: cannot be written ({error}); choose another one"
        ) from error
    return target
