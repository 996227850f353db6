"""The suites of the benchmark: the cases that each one times, and its ratios."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.commands.benchmark.cases import (
    Layout,
    Setting,
    make_case,
    make_generator,
    make_network,
    peak_rss,
    training_case,
)
from experiments.commands.benchmark.timing import Run, interleave, progress, ratio

_STYLES = 8
_EDITED_SHARE = 0.01
# Largest height and width at which the dense form is timed. Beyond, it needs too much memory.
_LARGEST_DENSE = 512
_REACHES = (0, 1, 2)
_FORMS = ("layers", "deduplicated_without_xla", "deduplicated")
_CASES = (
    "dense/float32",
    *(f"{form}/float32" for form in _FORMS),
    "main_convolutions/float32",
    "main_convolutions_winograd/float32",
    *(f"{form}/bfloat16" for form in _FORMS[1:]),
    "main_convolutions/bfloat16",
)
_QUICK_CASES = ("dense/float32", "deduplicated_without_xla/float32", "main_convolutions/float32")


def noise(setting: Setting, batch: int = 1) -> Layout:
    """A label map without any repetition."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, setting.num_labels, (batch, *setting.size)).astype("int32")
    return Layout("noise", label, label)


def resized(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes ids `[h, w]` by nearest neighbour."""
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, ids.shape, strict=True))
    return ids[rows][:, columns]


def drawn_layouts(setting: Setting) -> list[Layout]:
    """Label maps of procedural landscapes, for want of others."""
    from pipelines.landscapes import FIRST_VAL_INDEX, render

    layouts = []
    for index in range(FIRST_VAL_INDEX, FIRST_VAL_INDEX + 8):
        drawn = render(seed=0, index=index, height=256, width=256)
        label, instance = (
            resized(ids.astype("int32"), setting.size)[None]
            for ids in (drawn.label, drawn.instance)
        )
        layouts.append(Layout(f"landscape {index}", label % setting.num_labels, instance))
    return layouts


def generator_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """The forms of the generator, and its main convolutions alone, their lower bound."""
    names = _QUICK_CASES if run.quick else _CASES
    rss: dict[str, int] = {}
    if not run.quick:
        rss = {n: peak_rss(n, setting, layouts[0]) for n in progress(names, "peak memory")}
    source = make_generator(setting)
    compiled = {name: make_case(make_network(name, setting, source)) for name in names}
    pictures: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for name, case in progress(compiled.items(), "first runs"):
        for layout in layouts:
            pictures[name].append(case(layout.label, layout.instance).numpy())
    cases = {
        name: (lambda layout, case=case: case(layout.label, layout.instance))
        for name, case in compiled.items()
    }
    seconds = interleave(run, setting, cases, layouts, rss=rss, warm=True)
    images = {name: np.concatenate(pictures[name]) for name in names}
    summary = _generator_ratios(seconds, images, rss)
    if not run.quick:
        in_noise = [
            n for n in names if "main" not in n and n != "deduplicated_without_xla/bfloat16"
        ]
        noisy = {name: cases[name] for name in in_noise}
        in_noise_seconds = interleave(run, setting, noisy, [noise(setting)], rss=rss)
        for form in _FORMS:
            summary[f"noise_float32_{form}_over_dense"] = ratio(
                in_noise_seconds, f"{form}/float32", "dense/float32"
            )
    summary["picture_standard_deviation"] = round(float(images["dense/float32"].std()), 4)
    return summary


def _generator_ratios(seconds, images, rss):
    dense = images["dense/float32"]
    summary: dict[str, Any] = {}
    for form in _FORMS:
        name = f"{form}/float32"
        if name not in seconds:
            continue
        summary[f"float32_dense_over_{form}"] = ratio(seconds, "dense/float32", name)
        summary[f"float32_{form}_over_main_convolutions"] = ratio(
            seconds, name, "main_convolutions/float32"
        )
        difference = np.abs(images[name] - dense).max()
        summary[_key("max_abs_difference", form)] = float(f"{difference:.3g}")
        if rss.get(name) and rss.get("dense/float32"):
            summary[f"peak_memory_{form}_over_dense"] = round(rss[name] / rss["dense/float32"], 4)
    if "main_convolutions_winograd/float32" in seconds:
        # The lower bound for the fastest form, whose convolutions are faster too.
        summary["float32_deduplicated_over_main_convolutions_winograd"] = ratio(
            seconds, "deduplicated/float32", "main_convolutions_winograd/float32"
        )
    for form in _FORMS[1:]:
        name = f"{form}/bfloat16"
        if name not in seconds:
            continue
        summary[f"bfloat16_{form}_over_main_convolutions"] = ratio(
            seconds, name, "main_convolutions/bfloat16"
        )
        error = np.mean(np.square(images[name] - dense))
        summary[_key("bfloat16_psnr", form) + "_db"] = round(float(10 * np.log10(4.0 / error)), 2)
    return summary


def _key(measure, form):
    return measure if form == "deduplicated" else f"{measure}_{form}"


def train_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """One iteration of training, dense and deduplicated."""
    names = {"dense": "dense", "deduplicated": "auto"}
    rss = {}
    for case, form in () if run.quick else progress(names.items(), "peak memory"):
        rss[f"{case}/float32"] = peak_rss(f"train/{form}", setting, layouts[0])
    cases = {f"{case}/float32": training_case(form, setting) for case, form in names.items()}
    seconds = interleave(run, setting, cases, layouts, rss=rss)
    over = ratio(seconds, "dense/float32", "deduplicated/float32")
    summary = {"float32_dense_over_deduplicated": over}
    if rss:
        memory = rss["deduplicated/float32"] / max(rss["dense/float32"], 1)
        summary["peak_memory_deduplicated_over_dense"] = round(memory, 4)
    return summary


def style_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """The time of several styles of one layout at once, divided by that of one."""
    import tensorflow as tf

    fused = make_generator(setting._replace(z_dim=256)).fuse()
    styles = tf.random.stateless_normal([_STYLES, 256], [0, 0])

    def generate(label, instance, z):
        return fused({"label": label, "instance": instance}, z=z)

    compiled = tf.function(generate, autograph=False)
    cases = {
        "single/float32": lambda layout: compiled(layout.label, layout.instance, styles[:1]),
        f"{_STYLES}_styles/float32": lambda layout: compiled(layout.label, layout.instance, styles),
    }
    seconds = interleave(run, setting._replace(z_dim=256), cases, layouts)
    together = ratio(seconds, f"{_STYLES}_styles/float32", "single/float32")
    return {f"{_STYLES}_styles_per_picture_over_single": round(together / _STYLES, 4)}


def edit_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """The time of an edit of 1 % of the pixels, divided by that of the whole picture."""
    from spade_tf.networks.editing import EditableGenerator

    summary: dict[str, Any] = {}
    source = make_generator(setting)
    reaches = _REACHES[:1] if run.quick else _REACHES
    editors = {reach: EditableGenerator(source, reach=reach) for reach in reaches}
    painter = editors[reaches[0]]
    before = {layout.name: painter.paint(_inputs(layout)) for layout in layouts}

    def edit(editor):
        return lambda layout: editor.edit(before[layout.name], _inputs(_edited(layout)))

    cases: dict[str, Callable[[Layout], Any]] = {
        f"reach_{reach}/float32": edit(editor) for reach, editor in editors.items()
    }
    cases["full/float32"] = lambda layout: painter.paint(_inputs(_edited(layout)))
    seconds = interleave(run, setting, cases, layouts)
    for reach in editors:
        summary[f"reach_{reach}_over_full"] = ratio(
            seconds, f"reach_{reach}/float32", "full/float32"
        )
        differences = []
        for layout in layouts:
            exact = cases["full/float32"](layout).image.numpy()
            differences.append(np.abs(cases[f"reach_{reach}/float32"](layout).image - exact))
        summary[f"reach_{reach}_max_abs_difference"] = round(float(np.max(differences)), 4)
        summary[f"reach_{reach}_mean_abs_difference"] = round(float(np.mean(differences)), 5)
    return summary


def _inputs(layout):
    return {"label": layout.label, "instance": layout.instance}


def _edited(layout):
    """The layout with another id in a central square of 1 % of the pixels."""
    _, height, width = layout.label.shape
    side = round((_EDITED_SHARE * height * width) ** 0.5)
    label, (top, left) = layout.label.copy(), ((height - side) // 2, (width - side) // 2)
    square = label[:, top : top + side, left : left + side]
    absent = np.setdiff1d(np.unique(label), square)
    square[:] = absent[0] if len(absent) else (square + 1) % (label.max() + 1)
    return layout._replace(label=label)


def scaling_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """Resolution, number of classes, size of the batch."""
    summary: dict[str, Any] = {}
    layout = layouts[len(layouts) // 2]
    variants = {
        f"resolution_{n}": (setting._replace(size=(n, n)), 1)
        for n in ((64, 128) if run.quick else (128, 256, 512, 1024))
    }
    if run.quick:
        variants["batch_2"] = (setting._replace(size=(64, 64)), 2)
    else:
        classes = (12, 36, 151, 184)
        variants |= {f"classes_{n}": (setting._replace(num_labels=n), 1) for n in classes}
        variants |= {f"batch_{n}": (setting, n) for n in (2, 4, 8)}
    for key, (variant, batch) in variants.items():
        label, instance = (
            resized(ids[0], variant.size)[None].repeat(batch, 0) for ids in layout[1:]
        )
        if batch > 1:
            others = [layouts[index % len(layouts)] for index in range(batch)]
            label, instance = (
                np.concatenate([resized(ids[0], variant.size)[None] for ids in maps])
                for maps in ([one.label for one in others], [one.instance for one in others])
            )
        case = Layout(key, label % variant.num_labels, instance)
        source = make_generator(variant)
        names = ["deduplicated/float32", "main_convolutions/float32"]
        if max(variant.size) <= _LARGEST_DENSE:
            names.append("dense/float32")
        cases = {}
        for name in names:
            compiled = make_case(make_network(name, variant, source))
            cases[name] = lambda layout, case=compiled: case(layout.label, layout.instance)
        seconds = interleave(run, variant, cases, [case], batch=batch)
        # Earlier networks would fill the memory: reference cycles keep them alive.
        del source, compiled, cases
        gc.collect()
        summary[f"{key}_deduplicated_over_main_convolutions"] = ratio(seconds, *names[:2])
        for name in names[2:]:
            summary[f"{key}_dense_over_deduplicated"] = ratio(seconds, name, names[0])
    return summary
