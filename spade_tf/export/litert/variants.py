"""The forms that LiteRT models are written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spade_tf.export.errors import ExportError


class Variant(NamedTuple):
    """A form that a network is written in.

    Attributes:
        quantization: see `EdgeFunction.convert`.
        smallest_psnr: in decibels; a model must be at least as near to what Keras makes.
        takes_ids: whether the model takes label ids. GPUs run models that take one-hot maps only.
    """

    quantization: str
    smallest_psnr: float
    takes_ids: bool = False


# Float32 models differ from Keras in the order of sums alone, hence the high bound.
VARIANTS = {
    "float32": Variant("float32", 80.0),
    "float16": Variant("float16", 45.0),
    "dynamic_int8": Variant("dynamic_int8", 28.0),
    "int8": Variant("int8", 28.0),
    "ids_float32": Variant("float32", 80.0, takes_ids=True),
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
