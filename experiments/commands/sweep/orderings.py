"""Whether variants come in the order that the paper has them in, by the intervals of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

HOLDS, UNDECIDED, FAILS, MISSING = "holds", "undecided", "does not hold", "not trained"


class Ordering(NamedTuple):
    """A claim: of these variants, each is better than the next.

    Attributes:
        score: title of the column, such as "mIoU".
        variants: names, the best first.
        paper: what the paper has of it.
    """

    score: str
    variants: tuple[str, ...]
    paper: str = ""


def score_interval(content: Mapping[str, Any], variant: str, score: str) -> list[float] | None:
    """From the lowest to the highest end of the 95 % intervals of all seeds of a variant.

    So an interval holds what differs between pictures and what differs between seeds.

    Args:
        content: of `sweep.json`.
        variant: its name.
        score: title of the column.

    Returns:
        Both ends; None if the variant has no such score.
    """
    for row in content["rows"]:
        found = row["scores"].get(score) if row["variant"] == variant else None
        if found:
            ends = [end for interval in found["intervals"] for end in interval]
            return [min(ends), max(ends)]
    return None


def verdict(content: Mapping[str, Any], ordering: Ordering) -> tuple[str, list[str]]:
    """Whether a claim holds.

    It holds where each interval is better than the next one, without a point in common. It does not
    hold where one is worse than the next one. Else it is undecided.

    Args:
        content: of `sweep.json`.
        ordering: the claim.

    Returns:
        `HOLDS`, `UNDECIDED`, `FAILS`, or `MISSING` where a variant has no such score; and the
        variants that this is due to.
    """
    intervals = {name: score_interval(content, name, ordering.score) for name in ordering.variants}
    missing = [name for name, interval in intervals.items() if interval is None]
    if missing:
        return MISSING, missing
    better = {c["title"]: c["higher_is_better"] for c in content["columns"]}[ordering.score]
    if better is None:
        raise ValueError(f"{ordering.score}: neither higher nor lower is better")
    # As if higher were better.
    ends = {
        name: interval if better else [-interval[1], -interval[0]]
        for name, interval in intervals.items()
        if interval is not None
    }
    pairs = list(zip(ordering.variants, ordering.variants[1:], strict=False))
    worse = [pair for pair in pairs if ends[pair[0]][1] < ends[pair[1]][0]]
    open_ones = [pair for pair in pairs if ends[pair[0]][0] <= ends[pair[1]][1]]
    if worse:
        return FAILS, list(worse[0])
    return (UNDECIDED, list(open_ones[0])) if open_ones else (HOLDS, [])


def orderings_markdown(
    content: Mapping[str, Any], orderings: Sequence[Ordering], paper: str
) -> str:
    """A table of claims as Markdown.

    Args:
        content: of `sweep.json`.
        orderings: the claims.
        paper: heading of the column with what the paper has.
    """
    lines = [f"| score | order, the best first | {paper} | here |", "|---|---|---|---|"]
    for ordering in orderings:
        found, due = verdict(content, ordering)
        names = ", ".join(f"`{name}`" for name in due)
        if found == UNDECIDED:
            said = f"undecided: the intervals of {names} overlap"
        elif found == FAILS:
            said = f"**does not hold**: `{due[1]}` is before `{due[0]}`"
        elif found == MISSING:
            said = f"not trained yet: {names}"
        else:
            said = "holds"
        order = " > ".join(f"`{name}`" for name in ordering.variants)
        lines.append(f"| {ordering.score} | {order} | {ordering.paper or '–'} | {said} |")
    return "\n".join(lines)
