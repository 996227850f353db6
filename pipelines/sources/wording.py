"""How numbers of things are written for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number and its noun, as in "1 picture", "2 pictures", "1 class", "2 classes".

    Args:
        count: int, how many.
        noun: in the singular.
    """
    if count == 1:
        return f"{count} {noun}"
    return f"{count} {noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
