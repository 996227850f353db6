"""Charts as SVG, written as text: what draws pages draws them, and no plotting library is needed.

Importing matplotlib takes 0.7 s of processor, drawing the fourteen charts of a report 0.7 s each
time, and its packages 76 MB. A report that a training refreshes has to be cheaper than that.
"""

from __future__ import annotations

import html

# Of lines in turn: colours that can be told apart on white and on black.
COLORS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7ea4", "#bf3989")


def element(name: str, text: str | None = None, **attributes: object) -> str:
    """An element of a chart.

    Args:
        name: of the element, such as `line`.
        text: what it holds, as plain text; None for nothing.
        **attributes: by name, with `_` in place of `-`; numbers get a tenth of a pixel.

    Example:
        >>> element("text", "a < b", x=2.34, text_anchor="end")
        '<text x="2.3" text-anchor="end">a &lt; b</text>'
        >>> element("line", x1=0, x2=8)
        '<line x1="0" x2="8"/>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_shown(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{given}/>" if text is None else f"<{name}{given}>{html.escape(text)}</{name}>"


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))
