"""Tells what the user can put right, one line, from faults of this project, a traceback."""

from __future__ import annotations

import dis
from types import TracebackType

PACKAGES = ("spade_tf", "pipelines", "experiments")
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_for_the_user(error: BaseException) -> bool:
    """Whether an error is one that this project raises on purpose, or of the operating system.

    Those are the exceptions that its packages define, the ValueErrors that a `raise` statement of
    theirs raises, and OSErrors. A ValueError of TensorFlow or of `int("x")` is none of them: where
    one is expected, it is caught there and raised anew with a sentence.
    """
    if isinstance(error, OSError) or _is_ours(type(error).__module__):
        return True
    return isinstance(error, ValueError) and _is_raised_by_us(error.__traceback__)


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in PACKAGES


def _is_raised_by_us(traceback: TracebackType | None) -> bool:
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    # An error that a function written in C raises has no frame: then this is the call of it.
    raised = frame.f_code.co_code[traceback.tb_lasti] == _RAISE
    return raised and _is_ours(frame.f_globals.get("__name__"))
