"""The page of an evaluation: figures, classes, pictures; one file, opened without a server."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands.evaluate.gallery import Gallery, Shown
from experiments.setup.output import write_text
from spade_tf.training.pictures import encode_png, grid

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: auto; padding: 2rem 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } td, th { padding: .25rem .9rem .25rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr { border-bottom: 1px solid rgb(127 127 127 / .25); }
.bar { display: inline-block; height: .7em; background: #1f6feb; border-radius: 2px; }
.pictures { display: grid; gap: 1rem; }
.pictures { grid-template-columns: repeat(auto-fill, minmax(380px, 1fr)); }
figure { margin: 0; } figcaption { font-size: .85rem; }
img { width: 100%; height: auto; image-rendering: pixelated; } img.styles { max-width: 720px; }
.warning { border-left: 4px solid #d4a72c; padding-left: .8rem; }
pre { overflow: auto; background: rgb(127 127 127 / .12); padding: 1rem; border-radius: 6px; }
"""

# Name, its meaning, and which way is better.
_MEANING = {
    "frechet_distance": ("FD", "Fréchet distance of features to the real set", "lower"),
    "kernel_distance": ("KD", "kernel distance of features to the real set", "lower"),
    "lpips": ("LPIPS", "perceptual distance to the real picture", "lower"),
    "lpips_styles": ("LPIPS of styles", "perceptual distance of styles of one layout", "higher"),
    "l1": ("L1", "mean difference to the real picture, of 1", "lower"),
    "mean_iou": ("mIoU", "classes found in the pictures by the segmenter", "higher"),
    "mean_class_accuracy": ("class accuracy", "mean share of a class's pixels found", "higher"),
    "pixel_accuracy": ("pixel accuracy", "share of all pixels found", "higher"),
}


def write_report(path: Path, content: dict[str, Any], gallery: Gallery) -> None:
    """Writes the page.

    Args:
        path: of the file.
        content: of `evaluation.json`.
        gallery: pictures to show.
    """
    protocol = content["protocol"]
    title = f"{protocol['model']}: {protocol['count']} pictures"
    warnings = "".join(f'<p class="warning">{html.escape(w)}</p>' for w in content["warnings"])
    parts = [
        f"<h1>{html.escape(title)}</h1>{warnings}{_figures(content)}",
        *(_attribute(*each) for each in content["scores"].get("attributes", {}).items()),
        _classes(content),
        _pictures("Nearest to the real pictures", gallery.best),
        _pictures("Farthest from the real pictures", gallery.worst),
    ]
    if gallery.styles:
        parts.append(f"<h2>Styles of one layout</h2>{_image(grid(gallery.styles), 'styles')}")
    text = html.escape(json.dumps(protocol, indent=1))
    parts.append(
        f"<h2>Protocol</h2><p>Scores compare only under one protocol.</p><pre>{text}</pre>"
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"{''.join(parts)}</html>\n"
    )
    write_text(path, page)


def _figures(content: dict[str, Any]) -> str:
    rows, scores = [], content["scores"]

    def add(name: str, score: dict[str, Any], reference: str = "", title: str = "") -> None:
        short, meaning, better = _MEANING[name]
        short = title or short
        rows.append(
            f"<tr><td>{html.escape(short)}</td><td>{_value(score)}</td>"
            f"<td>{_interval(score)}</td><td>{reference}</td><td>{better}</td>"
            f'<td style="text-align:left">{html.escape(meaning)}</td></tr>'
        )

    for name, value in scores.items():
        if name in _MEANING:
            add(name, value)
        elif isinstance(value, dict) and "frechet_distance" in value:
            for kind in ("frechet_distance", "kernel_distance"):
                floor = value.get("floor", {}).get(kind)
                network = content["protocol"]["features"].get(name, {})
                title = _title(kind, name, network)
                add(kind, value[kind], "" if floor is None else f"{floor:.4g}", title)
    for name in ("mean_iou", "mean_class_accuracy", "pixel_accuracy"):
        if "segmentation" in scores:
            real = scores["segmentation"]["real"][name]["value"]
            add(name, scores["segmentation"]["fake"][name], f"{real:.4g}")
    rows += _sharpness(scores)
    return (
        "<table><tr><th>score</th><th>value</th><th>95 % interval</th><th>real pictures</th>"
        '<th>better</th><th style="text-align:left">meaning</th></tr>'
        f"{''.join(rows)}</table><p>“Real pictures” is what real ones score: for distances, one "
        "half of them against the other.</p>"
    )


def _title(kind: str, name: str, network: dict[str, Any]) -> str:
    """What a distance is called: `FD(network)`, or FID with the published network of FID alone."""
    short = _MEANING[kind][0]
    return {"FD": "FID", "KD": "KID"}[short] if network.get("is_fid") else f"{short} ({name})"


def _attribute(name: str, scores: dict[str, Any]) -> str:
    """How true styles are: by value of the attribute, of real pictures and of drawn styles."""
    classifier, drawn = scores["classifier"], scores.get("drawn", {"shares": {}, "missing": []})
    lines = [
        f"A classifier that learned from {classifier['training_pictures']} real pictures is right "
        f"for {100 * classifier['accuracy']:.1f} % of {classifier['validation_pictures']} real "
        "validation pictures."
    ]
    if "reproduced" in scores:
        value, (low, high) = scores["reproduced"]["value"], scores["reproduced"]["interval"]
        lines.append(
            f"In pictures in the style of a photograph it finds the {name} of that photograph for "
            f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})."
        )
    if drawn["missing"]:
        lines.append(f"Drawn styles never, or hardly ever, have {', '.join(drawn['missing'])}.")
    elif drawn["shares"]:
        lines.append("Drawn styles have all values.")
    rows = "".join(
        f"<tr><td>{html.escape(value)}</td><td>{100 * share:.1f} %</td>"
        f"<td>{_percent(drawn['shares'].get(value))}</td></tr>"
        for value, share in scores["real"].items()
    )
    return (
        f"<h2>Styles: {html.escape(name)}</h2><p>{html.escape(' '.join(lines))}</p>"
        f"<table><tr><th>{html.escape(name)}</th><th>real pictures</th><th>drawn styles</th></tr>"
        f"{rows}</table>"
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _sharpness(scores: dict[str, Any]) -> list[str]:
    """Rows of figures that are best where the real pictures have them."""
    steps = scores["steps"]
    meaning = "mean step between pixels, over that of real ones"
    figures = [("sharpness", scores["sharpness"], {"value": 1.0}, meaning)]
    for name, place, steps_there in (
        ("block_border", "blocks", "of the positions in a block"),
        ("picture_border", "the picture", "of the outermost two of each side"),
    ):
        meaning = f"largest step {steps_there}, over the median"
        fake, real = (steps[kind][name] for kind in ("fake", "real"))
        figures.append((f"steps at borders of {place}", fake, real, meaning))
    return [
        f"<tr><td>{name}</td><td>{_value(fake)}</td><td>{_interval(fake)}</td>"
        f"<td>{_value(real)}</td>"
        f'<td>as real</td><td style="text-align:left">{meaning}</td></tr>'
        for name, fake, real, meaning in figures
    ]


def _value(score: dict[str, Any] | None) -> str:
    return "none" if score is None else f"{score['value']:.4g}"


def _interval(score: dict[str, Any] | None) -> str:
    return "" if score is None else "{:.4g} to {:.4g}".format(*score["interval"])


def _classes(content: dict[str, Any]) -> str:
    scores = content["scores"].get("segmentation")
    if scores is None:
        return ""
    rows = []
    pixels = np.asarray(scores["fake"]["pixels"])
    for index in np.argsort(-pixels, kind="stable"):
        fake, real = (scores[kind]["iou"][index] for kind in ("fake", "real"))
        cells = "".join(
            "<td>none</td>"
            if value is None
            else f'<td>{value:.3f}</td><td style="text-align:left"><span class="bar" '
            f'style="width:{100 * value:.0f}px"></span></td>'
            for value in (fake, real)
        )
        share = pixels[index] / max(pixels.sum(), 1)
        rows.append(
            f"<tr><td>{html.escape(content['class_names'][index])}</td><td>{100 * share:.2f} %</td>"
            f"{cells}</tr>"
        )
    return (
        "<h2>Classes</h2><table><tr><th>class</th><th>pixels</th><th>IoU, generated</th><th></th>"
        f"<th>IoU, real</th><th></th></tr>{''.join(rows)}</table>"
    )


def _pictures(title: str, shown: Sequence[Shown]) -> str:
    columns = [*(shown[0].maps if shown else ()), "generated", "real"]
    figures = "".join(
        f"<figure>{_image(grid([[*each.maps.values(), each.fake, each.real]]), each.name)}"
        "<figcaption>"
        f"{html.escape(each.name)}: {each.distance:.3f}</figcaption></figure>"
        for each in shown
    )
    return (
        f"<h2>{title}</h2><p>{', '.join(columns).capitalize()}.</p>"
        f"<div class='pictures'>{figures}</div>"
    )


def _image(picture: np.ndarray, name: str) -> str:
    data = base64.b64encode(encode_png(picture)).decode()
    return (
        f'<img class="{html.escape(name)}" alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{data}">'
    )
