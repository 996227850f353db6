"""The suite for a graphics processor: every form of inference and training, and what bounds it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from experiments.commands.benchmark.cases import (
    Layout,
    Setting,
    make_generator,
    make_network,
    training_step,
)
from experiments.commands.benchmark.graphs import GraphCost, graph_cost
from experiments.commands.benchmark.timing import Run, print_line, progress

# The policy of Keras for each number format. Weights and losses are float32 in all.
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_BATCHES = {"generate": (1, 8), "train": (4,)}


class Case(NamedTuple):
    """What is timed.

    Attributes:
        work: "generate" or "train".
        form: "dense", "dense_xla" (the whole graph compiled by XLA), "deduplicated" (as trained or
            as exported), or "deduplicated_xla_loops" (fused, with XLA's loops and Winograd's
            filtering).
        dtype: "float32", "bfloat16" or "float16", of products and features.
        batch: int >= 1, pictures of a call.
    """

    work: str
    form: str
    dtype: str
    batch: int


def cases(on_gpu: bool, quick: bool) -> list[Case]:
    """The cases of the suite; on a processor without float16, those that it has."""
    half = ("bfloat16", "float16") if on_gpu else ("bfloat16",)
    kinds = [("dense", "float32"), *(("dense_xla", dtype) for dtype in ("float32", *half))]
    kinds_of = {
        "generate": [
            *kinds,
            ("deduplicated", "float32"),
            ("deduplicated", "bfloat16"),
            ("deduplicated_xla_loops", "float32"),
        ],
        "train": [*kinds, ("deduplicated", "float32")],
    }
    return [
        Case(work, *kind, 1 if quick else batch)
        for work in kinds_of
        for batch in (_BATCHES[work][:1] if quick else _BATCHES[work])
        for kind in kinds_of[work]
    ]


def device_suite(setting: Setting, layouts: Sequence[Layout], run: Run) -> dict[str, Any]:
    """Times all cases on the first graphics processor, or on the processor if there is none.

    Each case is made, called once, and called `repeats` times, by itself, so that its peak memory
    is its own. A case that fails, such as for want of memory, has the reason on its line, and the
    others go on.
    """
    device = _device()
    print_line({"suite": run.suite, "device": _facts(device)})
    dense: np.ndarray | None = None
    rates: dict[tuple[str, int], dict[str, float]] = {}
    with tf.device(device.name):
        for case in progress(cases(device.device_type == "GPU", run.quick), "cases"):
            name = f"{case.form}/{case.dtype}"
            line = {"suite": run.suite, **case._asdict(), "size": list(setting.size)}
            try:
                measured = _measure(case, setting, layouts, run.repeats, device)
            except (tf.errors.OpError, NotImplementedError) as error:
                print_line({**line, "failed": str(error).strip().splitlines()[0][:200]})
                continue
            picture = measured.pop("picture")
            if case.work == "generate" and case.batch == 1:
                dense = picture if name == "dense/float32" else dense
                line["largest_difference_to_dense"] = _difference(dense, picture)
            print_line({**line, **measured})
            rates.setdefault((case.work, case.batch), {})[name] = measured["pictures_per_second"]
    return {
        f"{work}_batch_{batch}": {
            "fastest": max(of, key=lambda name: of[name]),
            "pictures_per_second": of,
        }
        for (work, batch), of in rates.items()
    }


def _device():
    graphics = tf.config.list_logical_devices("GPU")
    return graphics[0] if graphics else tf.config.list_logical_devices("CPU")[0]


def _facts(device):
    facts = {"type": device.device_type, "tensorflow": tf.__version__, "cores": os.cpu_count()}
    if device.device_type == "GPU":
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        facts["name"] = details.get("device_name")
        facts["compute_capability"] = details.get("compute_capability")
        build = tf.sysconfig.get_build_info()
        facts |= {name: build.get(name) for name in ("cuda_version", "cudnn_version")}
        facts["tensor_float_32"] = tf.config.experimental.tensor_float_32_execution_enabled()
    return facts


def _difference(dense, picture):
    return None if dense is None else float(f"{np.abs(picture - dense).max():.3g}")


def _measure(case, setting, layouts, repeats, device):
    layout = _batch(layouts, case.batch)
    on_gpu = device.device_type == "GPU"
    if on_gpu:
        tf.config.experimental.reset_memory_stats(device.name)
    start = time.perf_counter()
    function, inputs = MAKERS[case.work](case, setting, layout)
    concrete = function.get_concrete_function(inputs)
    made = time.perf_counter()
    picture = _wait(function(inputs))
    first = time.perf_counter()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        _wait(function(inputs))
        taken.append(time.perf_counter() - begin)
    seconds = float(np.median(taken))
    cost = graph_cost(concrete)
    peak = tf.config.experimental.get_memory_info(device.name)["peak"] if on_gpu else None
    return {
        "seconds": {
            "make_and_trace": round(made - start, 2),
            "first_call": round(first - made, 2),
            "call": round(seconds, 5),
        },
        "pictures_per_second": round(case.batch / seconds, 3),
        "teraflops": _teraflops(cost, seconds),
        "peak_device_bytes": peak,
        "graph": cost.rounded(),
        "picture": picture,
    }


def _wait(result):
    """The values of a result, which are there once the device has computed them."""
    if isinstance(result, dict):
        return {name: float(value) for name, value in result.items()}
    return result.numpy().astype("float32")


def _teraflops(cost: GraphCost, seconds: float) -> float | None:
    if np.isnan(cost.gmac):
        return None
    return float(f"{2e-3 * cost.gmac / seconds:.3g}")


def _batch(layouts, size):
    chosen = [layouts[index % len(layouts)] for index in range(size)]
    label, instance = (
        np.concatenate([getattr(layout, name) for layout in chosen])
        for name in ("label", "instance")
    )
    return Layout(f"{size} label maps", label, instance)


def _generating(case, setting, layout):
    if case.form.startswith("dense"):
        network = make_generator(setting, "dense", _POLICIES[case.dtype])
    else:
        fused = "deduplicated" if case.form.endswith("loops") else "deduplicated_without_xla"
        network = make_network(f"{fused}/{case.dtype}", setting)

    def generate(inputs):
        return network(inputs)

    inputs = {"label": tf.constant(layout.label), "instance": tf.constant(layout.instance)}
    return tf.function(generate, autograph=False, jit_compile=case.form == "dense_xla"), inputs


def _training(case, setting, layout):
    form = "auto" if case.form == "deduplicated" else "dense"
    step = training_step(form, setting, _POLICIES[case.dtype])
    inputs = {
        "label": tf.constant(layout.label),
        "instance": tf.constant(layout.instance),
        "image": tf.zeros([*layout.label.shape, 3]),
    }
    return tf.function(step, autograph=False, jit_compile=case.form == "dense_xla"), inputs


MAKERS: dict[str, Callable[[Case, Setting, Layout], tuple[Any, dict[str, tf.Tensor]]]] = {
    "generate": _generating,
    "train": _training,
}
