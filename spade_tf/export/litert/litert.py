"""LiteRT (TFLite) models for phones and browsers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spade_tf.export.errors import ExportError
from spade_tf.export.litert.conversion import EdgeFunction
from spade_tf.export.litert.edge_form import edge_form, float32_copy
from spade_tf.export.litert.model import LiteRTModel, import_interpreter
from spade_tf.export.litert.report import activation_report, objections, report
from spade_tf.layers.semantics import Semantics


class Variant(NamedTuple):
    """A form that a network is written in.

    Attributes:
        quantization: see `EdgeFunction.convert`.
        smallest_psnr: in decibels, against Keras.
        takes_ids: whether label ids go in; on GPUs, maps of ones and zeros are what works.
    """

    quantization: str
    smallest_psnr: float
    takes_ids: bool = False


# Float32 differs in the order of sums alone.
VARIANTS = {
    "float32": Variant("float32", 80.0),
    "float16": Variant("float16", 45.0),
    "dynamic_int8": Variant("dynamic_int8", 28.0),
    "int8": Variant("int8", 28.0),
    "ids_float32": Variant("float32", 80.0, takes_ids=True),
}
_ENCODER_VARIANTS = ("float32", "float16")
# Of styles that models are calibrated and compared in.
_SEED = 0
_SEMANTICS = (
    "1.0 in the channel of a pixel's class id (what label_map makes of the value in a file), 0.0 "
    "in those of the others{edges}; never from tf.one_hot on a GPU, which is silently wrong there"
)
_CONTINUOUS = "the map, in the range that the data set has it in"
_EDGES = (
    "; in the last channel 1.0 where a pixel's instance id differs from that of the pixel above, "
    "below, left or right (both sides of a boundary), 0.0 elsewhere and where there are no "
    "instance ids"
)


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

    `generator_VARIANT.tflite` takes `semantics` float `[1, H, W, C]` (one-hot labels, and a channel
    of instance edges where they are used), or, with `ids`, `label` int32 `[1, H, W]` and
    `instance`; and `z` `[1, z_dim]` where there is a style; and gives `image` `[1, H, W, 3]` in
    [-1, 1]. `encoder_VARIANT.tflite` takes `image` `[1, H, W, 3]`, and gives the mean `z`.

    A model is shipped if it is within its bound of what Keras makes of the same layouts, if all of
    its operations run on GPUs (not asked of `ids`, which is for processors), and, in float16, if no
    activation is too large for it.

    Args:
        generator: a `SPADEGenerator` or `Pix2PixHDGenerator`.
        output_dir: of this model.
        layouts: real ones, for comparison: what the generator is called with, a batch of one each.
        calibration_layouts: likewise, others, that "int8" takes ranges of activations from.
        encoder: of styles; None for none.
        photographs: float32 `[1, H, W, 3]` in [-1, 1] each, to compare the encoder on.
        variants: names of `VARIANTS`.
        allow_below_bound: names of those that may be shipped though they miss a bound; their JSON
            says so.
        one_hot: bool, whether the generator sees labels; False for continuous maps.
        description: what every JSON is to say of the model: classes; `plain_label_map` by default.
        on_model: called with the name and the report of each model when it is made.

    Returns:
        The directory of the version.

    Raises:
        ExportError: naming the models that must not be shipped and why, or what cannot be done.
    """
    import_interpreter()
    check_variants(variants, allow_below_bound)
    if not one_hot:
        variants = [name for name in variants if not VARIANTS[name].takes_ids]
    if not layouts:
        raise ExportError("layouts: none to compare with Keras on; give at least one")

    models = _generator_models(generator, layouts, calibration_layouts, variants, one_hot, on_model)
    if encoder is not None and photographs:
        names = [name for name in _ENCODER_VARIANTS if name in variants]
        models.update(_encoder_models(encoder, photographs, names, on_model))

    found = {
        name: objections(name, facts, for_gpu=not VARIANTS[_variant(name)].takes_ids)
        for name, (_, facts) in models.items()
    }
    refused = {n: o for n, o in found.items() if o and _variant(n) not in allow_below_bound}
    if refused:
        names = sorted({_variant(name) for name in refused})
        rest = [name for name in variants if name not in names]
        raise ExportError(
            f"{'; '.join(chain.from_iterable(refused.values()))}: nothing written; leave out with "
            f"--variants={','.join(rest)}, or ship as they are, marked, with "
            f"--allow_below_bound={','.join(names)}"
        )
    described = {"label_map": plain_label_map(generator.num_labels)} if one_hot else {}
    described |= description or {}
    for name, (_, facts) in models.items():
        facts["objections"] = found[name]
        facts.update(described)
    return _write(Path(output_dir), models)


def plain_label_map(num_ids: int) -> dict[str, Any]:
    """How label map files are read that hold the ids of classes.

    Args:
        num_ids: int, class ids, the unknown one included.

    Returns:
        `num_ids`, `id_of_value`, `unknown_value` and `unknown`; and `meaning`, the rule in words.
    """
    return {
        "num_ids": num_ids,
        "id_of_value": list(range(num_ids)),
        "unknown_value": None,
        "unknown": None,
        "meaning": LABEL_MAP_MEANING,
    }


def check_variants(variants: Sequence[str] | None, allow_below_bound: Sequence[str] = ()) -> None:
    """Raises an ExportError unless there are such variants, and those allowed are among them.

    Args:
        variants: names of `VARIANTS`; None for all.
        allow_below_bound: names of some of them.
    """
    chosen = tuple(VARIANTS) if variants is None else variants
    for flag, names in (("variants", chosen), ("allow_below_bound", allow_below_bound)):
        for name in names:
            if name not in VARIANTS:
                raise ExportError(f"--{flag}: variant {name!r}: give some of {', '.join(VARIANTS)}")
    if not chosen:
        raise ExportError(f"--variants: none given; give some of {', '.join(VARIANTS)}")
    if useless := [name for name in allow_below_bound if name not in chosen]:
        raise ExportError(
            f"--allow_below_bound={','.join(useless)}: not among --variants={','.join(chosen)}"
        )


def _variant(name):
    return name.split("_", 1)[1]


def edge_functions(edge: keras.Model) -> tuple[EdgeFunction, EdgeFunction]:
    """A generator as called with dense maps, and with label ids.

    Args:
        edge: what `edge_form` made of it.
    """
    size = edge.image_size
    style = {}
    if edge.z_dim is not None:
        style["z"] = tf.TensorSpec((1, edge.z_dim), tf.float32)
    dense = {"semantics": tf.TensorSpec((1, *size, edge.semantic_channels), tf.float32), **style}
    ids = {"label": tf.TensorSpec((1, *size), tf.int32)}
    if edge.use_instance_edges:
        ids["instance"] = tf.TensorSpec((1, *size), tf.int32)

    def from_dense(semantics, z=None):
        return {"image": edge(semantics, z=z, training=False)}

    def from_ids(label, instance=None, z=None):
        semantics = _dense(edge, {"label": label, "instance": instance})
        return {"image": edge(semantics, z=z, training=False)}

    return EdgeFunction(edge, from_dense, dense), EdgeFunction(edge, from_ids, {**ids, **style})


def _dense(generator, layout):
    return Semantics.from_inputs(
        layout,
        num_labels=generator.num_labels,
        use_instance_edges=generator.use_instance_edges,
    ).dense


def edge_inputs(
    generator: keras.Model, layouts: Sequence[Any], seed: int = 0
) -> list[dict[str, np.ndarray]]:
    """What edge models of a generator are called with, each layout in a style of its own.

    Args:
        generator: whose.
        layouts: what it is called with, a batch of one each.
        seed: int, of the styles.

    Returns:
        `semantics`, `z` where there is a style, `label` and `instance` where there are ids.
    """
    random = np.random.default_rng(seed)
    inputs = []
    for layout in layouts:
        arrays = {"semantics": np.asarray(_dense(generator, layout), "float32")}
        if isinstance(layout, Mapping):
            label = np.asarray(layout["label"], "int32")
            instance = layout.get("instance")
            arrays["label"] = label
            # One instance all over has no edges.
            arrays["instance"] = np.asarray(
                np.zeros_like(label) if instance is None else instance, "int32"
            )
        if generator.z_dim is not None:
            arrays["z"] = random.standard_normal((1, generator.z_dim), np.float32)
        inputs.append(arrays)
    return inputs


def _generator_models(generator, layouts, calibration_layouts, variants, one_hot, on_model):
    dense, ids = edge_functions(edge_form(generator, one_hot=one_hot))
    inputs = edge_inputs(generator, layouts, _SEED)
    representative = [
        {name: example[name] for name in dense.inputs}
        for example in edge_inputs(generator, calibration_layouts, _SEED + 1)
    ]
    reference = float32_copy(generator)
    predict = tf.function(lambda x, z: reference(x, z=z, training=False), autograph=False)
    expected = np.concatenate(
        [
            predict(layout, example.get("z")).numpy()
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
                # Those of float16 weights would be no different, and infinity hides a number.
                model = model if name == "float32" else LiteRTModel(function.convert("float32"))
                activations = activation_report(model, inputs)
            facts["activations"] = activations
        _explain(facts, generator, one_hot)
        models[f"generator_{name}"] = content, facts
        if on_model is not None:
            on_model(f"generator_{name}", facts)
    return models


def encoder_function(encoder: keras.Model) -> EdgeFunction:
    """An encoder as called with a photograph, for the mean of its style.

    Args:
        encoder: a `ConvEncoder`.
    """
    copy = float32_copy(encoder)
    return EdgeFunction(
        copy,
        lambda image: {"z": copy(image, training=False)[0]},
        {"image": tf.TensorSpec((1, *copy.image_size, 3), tf.float32)},
    )


def _encoder_models(encoder, photographs, variants, on_model):
    function = encoder_function(encoder)
    inputs = [{"image": np.asarray(photograph, "float32")} for photograph in photographs]
    expected = np.concatenate([function.call(**example)["z"].numpy() for example in inputs])
    # Styles have no bounds of their own: their spread stands for it.
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


LABEL_MAP_MEANING = (
    "a file's value v is of class id_of_value[v]; beyond that list, unknown_value is of class "
    "unknown; every other value, and one whose id is -1, must be refused"
)


def _explain(facts, generator, one_hot):
    edges = _EDGES if generator.use_instance_edges else ""
    meanings = {
        "semantics": _SEMANTICS.format(edges=edges) if one_hot else _CONTINUOUS,
        "label": f"class ids, 0 to {generator.num_labels - 1}: what label_map makes of the values "
        "in a file, not the values; other ids are of no class at all",
        "instance": "instance ids; the same one all over for none",
        "z": "a style: standard normal numbers, or what the encoder says of a photograph",
        "image": "RGB in [-1, 1]: round((value + 1) * 127.5) for 8 bits",
    }
    for tensor in facts["inputs"] + facts["outputs"]:
        tensor["meaning"] = meanings[tensor["name"]]
        if tensor["quantization"]:
            tensor["meaning"] += "; int8: value = (int8 - zero_point) * scale"


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
