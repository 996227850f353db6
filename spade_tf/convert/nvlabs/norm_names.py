"""Names of normalisations in the options of the official release."""

from __future__ import annotations

import re

from spade_tf.convert.errors import ConversionError

__all__ = ["norm_name", "parse_norm", "parse_plain_norm", "plain_norm_name"]

_SPADE_NORMS = {"batch": "syncbatch", "local_batch": "batch", "instance": "instance"}
# Outside SPADE the release spells synchronised batch norm in another way, and takes no other.
_PLAIN_NORMS = {
    "batch": "sync_batch",
    "local_batch": "batch",
    "instance": "instance",
    "none": "none",
}


def norm_name(spectral_norm: bool, norm: str, kernel_size: int) -> str:
    """The official `norm_G` of a SPADE generator.

    Args:
        spectral_norm: whether its convolutions are spectrally normalised.
        norm: what SPADE normalises by.
        kernel_size: of SPADE's convolutions.

    Raises:
        ConversionError: if there is none.
    """
    if norm not in _SPADE_NORMS or kernel_size > 9:
        raise ConversionError(
            f"generator's norm={norm!r} with kernel_size={kernel_size} has no official "
            f"counterpart; {', '.join(_SPADE_NORMS)} with kernels up to 9x9 have"
        )
    return f"{'spectral' * spectral_norm}spade{_SPADE_NORMS[norm]}{kernel_size}x{kernel_size}"


def parse_norm(text: str, source: str) -> tuple[bool, str, int]:
    """What `norm_name` names.

    Args:
        text: the official `norm_G` of a SPADE generator.
        source: of the option, as an error names it.

    Returns:
        Whether spectrally normalised, SPADE's normalisation, and its kernel size.

    Raises:
        ConversionError: if it names nothing.
    """
    match = re.fullmatch(r"(spectral)?spade(syncbatch|batch|instance)([13579])x\3", text)
    if match is None:
        raise ConversionError(
            f"{source}: norm_G={text!r} cannot be converted; it must be [spectral]spade, then "
            "syncbatch, batch or instance, then an odd kernel size as in 3x3"
        )
    ours = next(norm for norm, theirs in _SPADE_NORMS.items() if theirs == match[2])
    return match[1] is not None, ours, int(match[3])


def plain_norm_name(spectral_norm: bool, norm: str) -> str:
    """The official `norm_G` of a pix2pixHD generator, or `norm_D` of a discriminator.

    Args:
        spectral_norm: whether convolutions are spectrally normalised.
        norm: what follows them: "batch" and "local_batch" have a learned scale and shift,
            "instance" has none.

    Raises:
        ConversionError: if there is none.
    """
    if norm not in _PLAIN_NORMS:
        raise ConversionError(
            f"norm={norm!r} has no official counterpart; {', '.join(_PLAIN_NORMS)} have"
        )
    if spectral_norm and norm == "none":
        return "spectral"
    return f"{'spectral' * spectral_norm}{_PLAIN_NORMS[norm]}"


def parse_plain_norm(text: str, name: str, source: str) -> tuple[bool, str]:
    """What `plain_norm_name` names.

    Args:
        text: the value of the option.
        name: of the option, "norm_G" or "norm_D".
        source: of the option, as an error names it.

    Returns:
        Whether spectrally normalised, and the normalisation.

    Raises:
        ConversionError: if it names nothing.
    """
    match = re.fullmatch(r"(spectral)?(sync_?batch|batch|instance|none|)", text)
    if match is None or not text:
        raise ConversionError(
            f"{source}: {name}={text!r} cannot be converted; it must be spectral, or sync_batch, "
            "batch, instance or none with or without spectral before it"
        )
    theirs = {"syncbatch": "sync_batch", "": "none"}.get(match[2], match[2])
    ours = next(norm for norm, name in _PLAIN_NORMS.items() if name == theirs)
    return match[1] is not None, ours
