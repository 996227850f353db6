"""The signatures of an exported model: what servers can ask it for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from spade_tf.export.baking import spectral_norms_baked, unbaked_variables
from spade_tf.export.checks import (
    Limits,
    checked_condition,
    checked_instance,
    checked_label,
    checked_photograph_label,
    checked_rows,
    finite,
    texts_of,
)
from spade_tf.export.decoding import (
    check_encodable,
    decode_ids,
    decode_photographs,
    encode_pictures,
)
from spade_tf.export.forms import check_drafts, draft_stage, inference_form
from spade_tf.export.source_files import SourceFiles, decode_conditions, decode_labels
from spade_tf.export.style_inputs import KEYS, StyleInputs
from spade_tf.layers.semantics import Semantics
from spade_tf.networks.editing import EditableGenerator
from spade_tf.networks.fused.generator import FusedGenerator

# What is made of a label map at most, unless told otherwise, or four times the trained size.
_MAX_PIXELS = 1 << 20


# What names of signatures begin with that are parts of others.
STAGE = "stage_"


class ServedModel(tf.Module):
    """A generator, and an encoder of styles, as signatures.

    All take any batch, and any height and width that the generator can make. Keys:

    - `label`: int32 `[B, H, W]` (uint8 in `serving_uint8`), ids of training; `unknown_id` stands
      for the last.
    - `condition`, in place of `label` in models that take continuous maps: float32 `[B, H, W, C]`,
      0 to 1 (uint8 in `serving_uint8`, 0 to 255).
    - `instance`, of models that see instance edges: int32 `[B, H, W]`, or `[B, 1, 1]` for none.
    - `seed`, of models with styles: int64 `[B]`. A seed is a style, whoever asks for it.
    - `z`, likewise: float32 `[B, z_dim]`.
    - `class_styles`, of models with styles of classes: float32 `[B, N, D]`, beside `z` or alone.
    - `label_bytes`: string `[B]`, PNG files like those of the data set, which `files` describes;
      `condition_bytes` in its place; `instance_bytes`: PNG files of ids, empty for none.
    - `image`: uint8 `[B, H, W, 3]`; `image_bytes`: string `[B]`, files.

    | signature | from | to |
    |---|---|---|
    | `serving_default`, `serving_uint8` | label, instance, seed | image |
    | `generate_bytes`, `generate_png_bytes` | label_bytes, instance_bytes, seed | image_bytes |
    | `generate_with_style` | label, instance, z | image |
    | `generate_styles` | label, instance, z `[B, K, z_dim]` | image `[B, K, H, W, 3]` |
    | `generate` | label, instance, z | image, float32 in [-1, 1] |
    | `encode_style` | image_bytes; label, for styles of classes | z, class_styles |
    | `describe` | name, string `[B]` | text, string `[B]`: an asset |

    `generate_bytes` makes JPEGs. The `label` of `encode_style` is that of the photograph, at any
    size, or `[B, 1, 1]` of -1 for none: then all pixels count for every class. Signatures with
    styles, and `encode_style`, are there where styles and an encoder are, and `describe` where
    assets are; `generate` without styles lacks those keys.

    Signatures `stage_...` are parts of these: each of those above that makes pictures is one
    `stage_prepare...` (checks, decoding, styles of seeds), `stage_picture` and, but for `generate`,
    one `stage_finish...`. A server that runs them one after another prepares the graph of the
    generator, which takes seconds, once for all.

    Args:
        generator: of pictures.
        encoder: of styles, or None.
        unknown_id: what label files hold in place of the last id, or None.
        assets: texts by file name, that `describe` gives.
        max_pixels: int, what is made of one label map at most, height x width x styles; None for
            1,048,576, or for four times the trained size if that is more.
        files: what files hold that maps and photographs come in; None for ids as they are.
        drafts: whether there is `stage_draft`, too; see `spade_tf.export.forms`.
    """

    def __init__(
        self,
        generator: Any,
        encoder: keras.Model | None,
        unknown_id: int | None,
        assets: Mapping[str, str],
        max_pixels: int | None = None,
        files: SourceFiles | None = None,
        drafts: bool = False,
    ):
        super().__init__()
        object.__setattr__(self, "source_files", files or SourceFiles())
        if drafts:
            check_drafts(generator, self.source_files.condition_channels)
        form = EditableGenerator if drafts else inference_form
        generator, given = form(generator), generator
        networks = [item for item in (generator, encoder) if isinstance(item, keras.Model)]
        if isinstance(generator, FusedGenerator):
            self.fused = generator
        # Not as a tf.Module would: a SavedModel would keep all that a Keras model refers to.
        object.__setattr__(self, "generator", generator)
        object.__setattr__(self, "encoder", encoder)
        self.assets = dict(assets)
        self.z_dim = given.z_dim
        object.__setattr__(self, "styles", StyleInputs.of(given))
        self.image_size = tuple(given.image_size)
        self.use_instance_edges = given.use_instance_edges
        starts_from_z = getattr(given, "starts_from_z", False)
        trained = self.image_size[0] * self.image_size[1]
        self.limits = Limits(
            num_labels=given.num_labels,
            unknown_id=unknown_id,
            multiple=given.scale,
            smallest=given.smallest_size,
            fixed_size=self.image_size if starts_from_z else None,
            max_pixels=max(_MAX_PIXELS, 4 * trained) if max_pixels is None else max_pixels,
        )
        self.weights = [
            variable.value for network in networks for variable in unbaked_variables(network)
        ]
        object.__setattr__(self, "_networks", networks)
        self.kernels: list[tf.Variable] = []
        # Traced once, and called by the signatures. Were they seen as attributes, they would be
        # traced again to be saved.
        self._picture = partial(tf.function(self._make_picture, autograph=False))
        self._decoded = partial(tf.function(self._decode_files, autograph=False))

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by the names of their signatures."""
        channels = self.source_files.condition_channels
        if channels:
            shape = [None, None, None, channels]
            ids = {"condition": tf.TensorSpec(shape, tf.float32, name="condition")}
            small = {"condition": tf.TensorSpec(shape, tf.uint8, name="condition")}
            files = {"condition_bytes": _spec("condition_bytes", tf.string, 1)}
        else:
            ids = {"label": _spec("label", tf.int32, 3)}
            small = {"label": _spec("label", tf.uint8, 3)}
            files = {"label_bytes": _spec("label_bytes", tf.string, 1)}
        ids, small = ids | self._instance(), small | self._instance()
        if self.use_instance_edges:
            files["instance_bytes"] = _spec("instance_bytes", tf.string, 1)
        styles = self.styles.specs(None)
        seed = {"seed": _spec("seed", tf.int64, 1)} if styles else {}
        functions: dict[str, tuple[Callable, dict[str, tf.TensorSpec]]] = {
            "serving_default": (self._serve, ids | seed),
            "serving_uint8": (self._serve, small | seed),
            "generate_bytes": (self._generate_jpeg, files | seed),
            "generate_png_bytes": (self._generate_png, files | seed),
        }
        if self.assets:
            functions["describe"] = (self._describe, {"name": _spec("name", tf.string, 1)})
        functions["generate"] = (self._generate, ids | styles)
        if styles:
            functions["generate_with_style"] = (self._generate_with_style, ids | styles)
            several = self.styles.specs(None, None)
            functions["generate_styles"] = (self._generate_styles, ids | several)
        if self.encoder is not None:
            photographs = {"image_bytes": _spec("image_bytes", tf.string, 1)}
            if self.styles.class_style_dim:
                photographs["label"] = _spec("label", tf.int32, 3)
            functions["encode_style"] = (self._encode_style, photographs)
        functions |= {f"{STAGE}{name}": each for name, each in self._stages(functions).items()}
        with ExitStack() as stack:
            for network in self._networks:
                self.kernels += stack.enter_context(spectral_norms_baked(network))
            return {
                name: tf.function(function, autograph=False).get_concrete_function(**inputs)
                for name, (function, inputs) in functions.items()
            }

    def _instance(self):
        return {"instance": _spec("instance", tf.int32, 3)} if self.use_instance_edges else {}

    def _make_picture(self, maps, z):
        semantics = Semantics.from_inputs(
            maps,
            num_labels=self.limits.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.generator.compute_dtype,
        )
        image = self.generator(inputs=semantics, z=z, training=False)
        return finite("image", image, "give other styles, or another export")

    def _checked(self, maps):
        """The maps of a request, without those that it has none of."""
        if maps.get("condition") is not None:
            checked = {"condition": checked_condition(maps["condition"], self.limits)}
        else:
            checked = {"label": checked_label(maps["label"], self.limits)}
        if maps.get("instance") is not None:
            checked["instance"] = checked_instance(maps["instance"], _pixels(checked))
        return checked

    def _stages(self, functions):
        """Parts of signatures, of inputs as the signatures have them."""
        inputs = {name: each[1] for name, each in functions.items()}
        image = {"image": tf.TensorSpec([None, None, None, 3], tf.float32, name="image")}
        stages: dict[str, tuple[Callable, dict[str, tf.TensorSpec]]] = {
            "prepare_ids": (self._prepare, inputs["generate"]),
            "prepare_seeds": (self._prepare_seeds, inputs["serving_default"]),
            "prepare_uint8": (self._prepare_seeds, inputs["serving_uint8"]),
            "picture": (self._picture_of, inputs["generate"]),
            "finish_uint8": (self._finish, image),
        }
        if isinstance(self.generator, EditableGenerator):
            stages["draft"] = draft_stage(self.generator, inputs["generate"])
        if "generate_styles" in functions:
            stages["prepare_styles"] = (self._prepare, inputs["generate_styles"])
        for name, signature in (("jpeg", "generate_bytes"), ("png", "generate_png_bytes")):
            stages[f"prepare_{name}"] = (partial(self._prepare_files, name), inputs[signature])
            stages[f"finish_{name}"] = (partial(self._finish_files, name), image)
        return stages

    def _prepare(self, **maps):
        styles = {key: maps.pop(key) for key in KEYS if key in maps}
        maps = self._checked(maps)
        return maps | self.styles.checked(styles, _pixels(maps), self.limits)

    def _prepare_seeds(self, seed=None, **maps):
        maps = self._checked(maps)
        if seed is None:
            return maps
        seed = checked_rows("seed", seed, _pixels(maps))
        return maps | self.styles.drawn(seed)

    def _prepare_files(self, file_format, seed=None, **encoded):
        maps = self._prepare_seeds(seed=seed, **self._decoded(**encoded))
        (name,) = encoded.keys() - {"instance_bytes"}
        # After the checks of the size: what the model cannot make matters before what files hold.
        encodable = check_encodable(name, _pixels(maps), file_format)
        with tf.control_dependencies([encodable]):
            return {key: tf.identity(value) for key, value in maps.items()}

    def _decode_files(self, instance_bytes=None, **encoded):
        ((name, encoded),) = encoded.items()
        channels = self.source_files.condition_channels
        if channels:
            maps = {"condition": decode_conditions(name, encoded, channels)}
        else:
            maps = {"label": decode_labels(name, encoded, self.source_files)}
        if instance_bytes is not None:
            instance_bytes = checked_rows("instance_bytes", instance_bytes, _pixels(maps))
            absent = tf.strings.length(instance_bytes) == 0
            # One instance all over, in the place of those that are not given.
            size = tf.shape(_pixels(maps))[1:]
            flat = tf.cond(
                tf.reduce_any(absent),
                lambda: tf.io.encode_png(tf.zeros([*tf.unstack(size), 1], tf.uint8)),
                lambda: tf.constant(""),
            )
            given = tf.where(absent, flat, instance_bytes)
            maps["instance"] = decode_ids("instance_bytes", given)
        return maps

    def _picture_of(self, z=None, class_styles=None, **maps):
        """Pictures of checked maps; of one map in several styles, if there are more of these."""
        style = z if class_styles is None else class_styles
        shares = isinstance(self.generator, FusedGenerator) and class_styles is None
        if style is not None and not shares:
            # Fused, what depends on maps alone is computed once for all styles.
            times = tf.shape(style)[0] // tf.shape(_pixels(maps))[0]
            maps = {key: tf.repeat(value, times, 0) for key, value in maps.items()}
        if (size := self.limits.fixed_size) is not None:
            # The same shape in signatures and in their parts, which then share one graph.
            maps = {k: tf.ensure_shape(v, [None, *size, *v.shape[3:]]) for k, v in maps.items()}
        if class_styles is not None:
            maps["class_styles"] = class_styles
        return {"image": self._picture(maps, z)}

    def _finish(self, image):
        return {"image": to_uint8(image)}

    def _finish_files(self, file_format, image):
        return {"image_bytes": encode_pictures(to_uint8(image), file_format)}

    def _generate(self, **inputs):
        return self._picture_of(**self._prepare(**inputs))

    def _generate_with_style(self, **inputs):
        return self._finish(**self._generate(**inputs))

    def _serve(self, **inputs):
        return self._finish(**self._picture_of(**self._prepare_seeds(**inputs)))

    def _generate_styles(self, **inputs):
        def one_layout(inputs):
            one = {key: each if key in KEYS else each[None] for key, each in inputs.items()}
            return self._finish(**self._picture_of(**one))["image"]

        shape = [None, *(self.limits.fixed_size or (None, None)), 3]
        made = tf.map_fn(
            one_layout,
            self._prepare(**inputs),
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )
        return {"image": made}

    def _generate_jpeg(self, **inputs):
        return self._generate_files("jpeg", inputs)

    def _generate_png(self, **inputs):
        return self._generate_files("png", inputs)

    def _generate_files(self, file_format, inputs):
        picture = self._picture_of(**self._prepare_files(file_format, **inputs))
        return self._finish_files(file_format, **picture)

    def _encode_style(self, image_bytes, label=None):
        assert self.encoder is not None
        size = tuple(self.encoder.image_size)
        image = decode_photographs("image_bytes", image_bytes, size, self.source_files.photographs)
        maps = []
        if label is not None:
            maps = [checked_photograph_label(label, image_bytes, self.limits, size)]
        style = self.encoder(image, *maps, training=False)[0]
        style = finite("z", style, "give another photograph, or another export")
        return self.styles.split(style)

    def _describe(self, name):
        return {"text": texts_of("name", name, self.assets)}


def _pixels(maps):
    """`[B, H, W]`, of the size of the maps of a request."""
    return maps["condition"][..., 0] if maps.get("condition") is not None else maps["label"]


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Pictures in [-1, 1] as uint8, rounded to the nearest value."""
    return tf.cast(tf.clip_by_value(tf.round((image + 1.0) * 127.5), 0.0, 255.0), tf.uint8)


def _spec(name, dtype, rank):
    return tf.TensorSpec([None] * rank, dtype, name=name)
