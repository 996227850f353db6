"""How long generators and training take, as JSON lines."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark_cases import (
    Layout,
    Setting,
    gmac,
    make_case,
    make_generator,
    make_network,
    peak_rss,
    training_case,
)
from experiments.schema import Config, ConfigError

SUITES = ("generator", "train", "style", "edit", "scaling")
_STYLES = 8
_EDITED_SHARE = 0.01
# Height and width up to which the dense form is timed too: it outgrows memory first.
_LARGEST_DENSE = 512
_REACHES = (0, 1, 2)


def benchmark(
    suite: str,
    config: Config,
    *,
    labels: str | os.PathLike[str],
    instances: str | os.PathLike[str] | None = None,
    num_labels: int = 183,
    repeats: int = 3,
    max_labels: int | None = None,
) -> dict[str, Any]:
    """Times one suite and prints its JSON lines to standard output, the summary last.

    Cases take turns, label map by label map, so that what else the machine does hits all alike;
    a ratio is the median over label maps of the ratio of their medians. Memory is that of a
    process of its own per case. The reference "main_convolutions" is the generator with its SPADE
    layers removed: first layer, residual blocks with leaky ReLU and biases, upsampling, last
    convolution, with final kernels; nothing that SPADE adds can make it faster than that.

    Args:
        suite: "generator", "train", "style" (several styles of one layout), "edit" (1 % of the
            pixels changed) or "scaling" (resolution, classes, batch).
        config: of an experiment; its generator and image size are what is timed.
        labels: folder of label map PNGs. They are resized to the image size.
        instances: folder of instance PNGs with the same names; None for none.
        num_labels: int >= 1, ids of the generator, the unknown one, which takes the place of ids
            that are too large, included.
        repeats: int >= 1, runs per label map and case.
        max_labels: int >= 1, how many label maps; None for all.

    Returns:
        The summary.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a label map cannot be read.
    """
    if suite not in SUITES:
        raise ConfigError(f"--suite={suite}: give one of {', '.join(SUITES)}")
    if repeats < 1:
        raise ConfigError(f"--repeats={repeats}: give 1 or more")
    setting = Setting(
        num_labels,
        (config.data.height, config.data.width),
        config.data.use_instance is not False,
        config.generator.filters,
    )
    layouts = read_layouts(labels, instances, setting, max_labels)
    summary = {
        "generator": _generator_suite,
        "train": _train_suite,
        "style": _style_suite,
        "edit": _edit_suite,
        "scaling": _scaling_suite,
    }[suite](setting, layouts, repeats)
    _print({"suite": suite, "summary": summary})
    return summary


def read_layouts(
    labels: str | os.PathLike[str],
    instances: str | os.PathLike[str] | None,
    setting: Setting,
    max_labels: int | None = None,
) -> list[Layout]:
    """The label maps of a folder, at the size that is timed.

    Args:
        labels: folder of PNGs.
        instances: folder of PNGs with the same names; None for none.
        setting: what is timed.
        max_labels: how many; None for all.

    Returns:
        One layout per file, with a batch of one.

    Raises:
        ConfigError: if there are none.
        DataError: if one cannot be read.
    """
    from pipelines.inspection import read_ids

    paths = sorted(Path(labels).glob("*.png"))[:max_labels]
    if not paths:
        raise ConfigError(f"--labels={labels}: no PNG files in it; give a folder of label maps")
    layouts = []
    for path in paths:
        label = _resized(read_ids(path).astype("int32"), setting.size)
        label = np.minimum(label, setting.num_labels - 1)
        instance = np.zeros_like(label)
        if instances is not None:
            instance = _resized(read_ids(Path(instances) / path.name).astype("int32"), setting.size)
        layouts.append(Layout(path.stem, label[None], instance[None]))
    return layouts


def _resized(ids, size):
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, ids.shape, strict=True))
    return ids[rows][:, columns]


def noise(setting: Setting, batch: int = 1) -> Layout:
    """A label map without any repetition."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, setting.num_labels, (batch, *setting.size)).astype("int32")
    return Layout("noise", label, label)


def interleave(
    cases: Mapping[str, Callable[[Layout], Any]],
    layouts: Sequence[Layout],
    repeats: int,
    warm: bool = False,
) -> dict[str, dict[str, list[float]]]:
    """Seconds by case and label map, cases taking turns.

    Args:
        cases: what to time, by name.
        layouts: what to time it with.
        repeats: timed runs per case and label map.
        warm: whether all cases have run with all label maps before; else each does so first.
    """
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    for layout in layouts:
        for run in () if warm else cases.values():
            run(layout)
        for _ in range(repeats):
            for name, run in cases.items():
                start = time.perf_counter()
                run(layout)
                taken = time.perf_counter() - start
                seconds[name].setdefault(layout.name, []).append(taken)
    return seconds


def ratio(seconds: Mapping[str, Mapping[str, list[float]]], one: str, other: str) -> float:
    """Median over label maps of how many times longer one case takes than another."""
    ratios = [
        float(np.median(seconds[one][name]) / np.median(seconds[other][name]))
        for name in seconds[one]
    ]
    return round(float(np.median(ratios)), 4)


def distinct_share(setting: Setting, layout: Layout) -> float:
    """Distinct 5x5 neighbourhoods per pixel, at full size."""
    import tensorflow as tf

    from spade_tf.layers.semantics import Semantics

    semantics = Semantics.from_inputs(
        {"label": tf.constant(layout.label), "instance": tf.constant(layout.instance)},
        num_labels=setting.num_labels,
        use_instance_edges=setting.use_instance,
    )
    return round(int(semantics.neighbourhoods(3).second_count) / layout.label.size, 4)


def _print(line):
    print(json.dumps(line), flush=True)


def _report(suite, setting, layouts, seconds, rss, batch=1):
    """One line per case and label map, and one per case over all of them."""
    work, threads = gmac(setting, batch), os.cpu_count()
    shares = {layout.name: distinct_share(setting, layout) for layout in layouts}
    for name, by_layout in seconds.items():
        case, dtype = name.split("/")
        rows = [(label, taken, shares[label]) for label, taken in by_layout.items()]
        if len(rows) > 1:
            medians = [float(np.median(taken)) for taken in by_layout.values()]
            rows.append(("all", medians, float(np.median(list(shares.values())))))
        for label, taken, share in rows:
            _print(
                {
                    "suite": suite,
                    "case": case,
                    "dtype": dtype,
                    "labels": label,
                    "seconds": {
                        "min": round(min(taken), 4),
                        "median": round(float(np.median(taken)), 4),
                        "max": round(max(taken), 4),
                    },
                    "peak_rss_bytes": rss.get(name),
                    "gmac": work["main"]
                    if case == "main_convolutions"
                    else round(sum(work.values()), 2),
                    "distinct_share": share,
                    "threads": threads,
                }
            )


def _generator_suite(setting, layouts, repeats):
    names = (
        "dense/float32",
        "layers/float32",
        "deduplicated_without_xla/float32",
        "deduplicated/float32",
        "main_convolutions/float32",
        "main_convolutions_winograd/float32",
        "deduplicated_without_xla/bfloat16",
        "deduplicated/bfloat16",
        "main_convolutions/bfloat16",
    )
    rss = {name: peak_rss(name, setting, layouts[0]) for name in names}
    source = make_generator(setting)
    compiled = {name: make_case(make_network(name, setting, source)) for name in names}
    pictures: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for layout in layouts:
        for name, run in compiled.items():
            pictures[name].append(run(layout.label, layout.instance).numpy())
    cases = {
        name: (lambda layout, run=run: run(layout.label, layout.instance))
        for name, run in compiled.items()
    }
    seconds = interleave(cases, layouts, repeats, warm=True)
    forms = ("layers", "deduplicated_without_xla", "deduplicated")
    in_noise = ["dense/float32", *(f"{form}/float32" for form in forms), "deduplicated/bfloat16"]
    noisy = interleave({name: cases[name] for name in in_noise}, [noise(setting)], repeats)
    _report("generator", setting, layouts, seconds, rss)
    _report("generator", setting, [noise(setting)], noisy, rss)

    dense = np.concatenate(pictures["dense/float32"])
    summary: dict[str, Any] = {}
    for form in forms:
        name, key = f"{form}/float32", f"float32_{form}"
        summary[f"float32_dense_over_{form}"] = ratio(seconds, "dense/float32", name)
        summary[f"{key}_over_main_convolutions"] = ratio(seconds, name, "main_convolutions/float32")
        difference = np.abs(np.concatenate(pictures[name]) - dense).max()
        summary[_key("max_abs_difference", form)] = float(f"{difference:.3g}")
        if rss[name] and rss["dense/float32"]:
            summary[f"peak_memory_{form}_over_dense"] = round(rss[name] / rss["dense/float32"], 4)
    # The limit as it is for the fastest form, whose own convolutions are faster too.
    summary["float32_deduplicated_over_main_convolutions_winograd"] = ratio(
        seconds, "deduplicated/float32", "main_convolutions_winograd/float32"
    )
    for form in forms[1:]:
        name = f"{form}/bfloat16"
        summary[f"bfloat16_{form}_over_main_convolutions"] = ratio(
            seconds, name, "main_convolutions/bfloat16"
        )
        error = np.mean(np.square(np.concatenate(pictures[name]) - dense))
        summary[_key("bfloat16_psnr", form) + "_db"] = round(float(10 * np.log10(4.0 / error)), 2)
    for form in forms:
        summary[f"noise_float32_{form}_over_dense"] = ratio(
            noisy, f"{form}/float32", "dense/float32"
        )
    summary["picture_standard_deviation"] = round(float(dense.std()), 4)
    return summary


def _key(measure, form):
    return measure if form == "deduplicated" else f"{measure}_{form}"


def _train_suite(setting, layouts, repeats):
    names = {"dense": "dense", "deduplicated": "auto"}
    rss = {
        f"{case}/float32": peak_rss(f"train/{modulation}", setting, layouts[0])
        for case, modulation in names.items()
    }
    cases = {
        f"{case}/float32": training_case(modulation, setting) for case, modulation in names.items()
    }
    seconds = interleave(cases, layouts, repeats)
    _report("train", setting, layouts, seconds, rss)
    return {
        "float32_dense_over_deduplicated": ratio(seconds, "dense/float32", "deduplicated/float32"),
        "peak_memory_deduplicated_over_dense": round(
            rss["deduplicated/float32"] / max(rss["dense/float32"], 1), 4
        ),
    }


def _style_suite(setting, layouts, repeats):
    import tensorflow as tf

    fused = make_generator(setting._replace(z_dim=256)).fuse()
    styles = tf.random.stateless_normal([_STYLES, 256], [0, 0])

    def run(label, instance, z):
        return fused({"label": label, "instance": instance}, z=z)

    compiled = tf.function(run, autograph=False)
    cases = {
        "single/float32": lambda layout: compiled(layout.label, layout.instance, styles[:1]),
        f"{_STYLES}_styles/float32": lambda layout: compiled(layout.label, layout.instance, styles),
    }
    seconds = interleave(cases, layouts, repeats)
    _report("style", setting._replace(z_dim=256), layouts, seconds, {})
    together = ratio(seconds, f"{_STYLES}_styles/float32", "single/float32")
    return {f"{_STYLES}_styles_per_picture_over_single": round(together / _STYLES, 4)}


def _edit_suite(setting, layouts, repeats):
    from spade_tf.networks.editing import EditableGenerator

    summary: dict[str, Any] = {}
    source = make_generator(setting)
    editors = {reach: EditableGenerator(source, reach=reach) for reach in _REACHES}
    painter = editors[_REACHES[0]]
    before = {layout.name: painter.paint(_inputs(layout)) for layout in layouts}

    def edit(editor):
        return lambda layout: editor.edit(before[layout.name], _inputs(_edited(layout)))

    cases: dict[str, Callable[[Layout], Any]] = {
        f"reach_{reach}/float32": edit(editor) for reach, editor in editors.items()
    }
    cases["full/float32"] = lambda layout: painter.paint(_inputs(_edited(layout)))
    seconds = interleave(cases, layouts, repeats)
    _report("edit", setting, layouts, seconds, {})
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
    """A square of 1 % of the pixels in the middle, of an id that was not in it before."""
    _, height, width = layout.label.shape
    side = round((_EDITED_SHARE * height * width) ** 0.5)
    label, (top, left) = layout.label.copy(), ((height - side) // 2, (width - side) // 2)
    square = label[:, top : top + side, left : left + side]
    absent = np.setdiff1d(np.unique(label), square)
    square[:] = absent[0] if len(absent) else (square + 1) % (label.max() + 1)
    return layout._replace(label=label)


def _scaling_suite(setting, layouts, repeats):
    summary = {}
    layout = layouts[len(layouts) // 2]
    variants = {
        f"resolution_{n}": (setting._replace(size=(n, n)), 1) for n in (128, 256, 512, 1024)
    }
    variants |= {f"classes_{n}": (setting._replace(num_labels=n), 1) for n in (12, 36, 151, 184)}
    variants |= {f"batch_{n}": (setting, n) for n in (2, 4, 8)}
    for key, (variant, batch) in variants.items():
        label, instance = (
            _resized(ids[0], variant.size)[None].repeat(batch, 0) for ids in layout[1:]
        )
        if batch > 1:
            others = [layouts[index % len(layouts)] for index in range(batch)]
            label, instance = (
                np.concatenate([_resized(ids[0], variant.size)[None] for ids in maps])
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
            cases[name] = lambda layout, run=compiled: run(layout.label, layout.instance)
        seconds = interleave(cases, [case], repeats)
        _report("scaling", variant, [case], seconds, {}, batch)
        # Networks of before would fill the memory: they hold on to themselves.
        del source, compiled, cases
        gc.collect()
        summary[f"{key}_deduplicated_over_main_convolutions"] = ratio(seconds, *names[:2])
        for name in names[2:]:
            summary[f"{key}_dense_over_deduplicated"] = ratio(seconds, name, names[0])
    return summary
