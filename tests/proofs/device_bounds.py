"""What bounds each form on processors that are not here: `python tests/proofs/device_bounds.py`.

Traces the full COCO-Stuff generator, its training iteration and the models for phones, without
running them, counts operations, multiply-adds and bytes, and prints the tables of
docs/PERFORMANCE.md: the least time by the makers' figures of arithmetic and memory. Takes some
minutes, and 8 GiB.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.commands.benchmark.cases import Setting
from experiments.commands.benchmark.device import MAKERS, Case
from experiments.commands.benchmark.graphs import GraphCost, graph_cost
from experiments.commands.benchmark.suites import drawn_layouts

COCO = Setting(183, (256, 256), True, 64)


class Device(NamedTuple):
    """A processor by its data sheet.

    Attributes:
        name: of the table.
        teraflops: by number format; two operations are a multiply-add. Dense, not sparse.
        terabytes: of memory, per second.
    """

    name: str
    teraflops: dict[str, float]
    terabytes: float


DEVICES = (
    Device("A100 80 GB", {"float32": 156.0, "bfloat16": 312.0}, 2.04),
    Device("H100 SXM", {"float32": 494.0, "bfloat16": 989.0}, 3.35),
)
PHONE = Device("phone", {"float16": 2.0}, 0.05)
# Microseconds from one kernel's start to the next one's, where each is launched by itself.
LAUNCH = 5.0
CASES = (
    Case("generate", "dense", "float32", 1),
    Case("generate", "dense", "bfloat16", 1),
    Case("generate", "dense", "float32", 8),
    Case("generate", "dense", "bfloat16", 8),
    Case("generate", "deduplicated", "float32", 1),
    Case("train", "dense", "float32", 4),
    Case("train", "dense", "bfloat16", 4),
    Case("train", "deduplicated", "float32", 4),
)
PHONE_MODELS = ("landscapes_edge_clade", "landscapes_edge_spade")


def traced(case: Case) -> GraphCost:
    """What a case of the benchmark costs."""
    layout = drawn_layouts(COCO)[0]
    ids = [getattr(layout, name).repeat(case.batch, 0) for name in ("label", "instance")]
    function, inputs = MAKERS[case.work](case, COCO, layout._replace(label=ids[0], instance=ids[1]))
    return graph_cost(function.get_concrete_function(inputs))


def traced_for_phones(experiment: str) -> GraphCost:
    """What the LiteRT model of an experiment costs, in float32."""
    import tensorflow as tf

    from experiments.setup.networks import make_generator
    from pipelines.landscapes import CLASS_NAMES, PALETTE
    from pipelines.schema import LabelSet
    from spade_tf.export.litert.edge_form import edge_form
    from spade_tf.export.litert.functions import edge_functions

    config = importlib.import_module(f"experiments.{experiment}").get_config()
    generator = make_generator(config, LabelSet(CLASS_NAMES, PALETTE, False, True))
    dense, _ = edge_functions(edge_form(generator, one_hot=True))
    function = tf.function(dense.call, autograph=False)
    return graph_cost(function.get_concrete_function(**dense.inputs))


def milliseconds(cost: GraphCost, device: Device, dtype: str, share: float = 1.0) -> list[float]:
    """Least times of arithmetic, of memory fused and of memory unfused; `share` of the bytes."""
    arithmetic = 2 * cost.gmac / device.teraflops[dtype]
    memory = [share * size / device.terabytes for size in cost[4:]]
    return [arithmetic, *memory]


def main() -> None:
    """Prints the tables."""
    print("| work | form | operations | waits | sizes unknown | GMAC | GB fused | GB by kernel |")
    print("|---|---|---|---|---|---|---|---|")
    bounds = []
    for case in CASES:
        cost = traced(case)
        name = f"{case.work}, batch {case.batch} | {case.form}, {case.dtype}"
        shown = [f"{value:.3g}" if value == value else "–" for value in cost[3:]]
        print(f"| {name} | {' | '.join(map(str, [*cost[:3], *shown]))} |", flush=True)
        if cost.gmac == cost.gmac:
            parts = []
            for device in DEVICES:
                arithmetic, fused, unfused = milliseconds(cost, device, case.dtype)
                parts.append(f"{arithmetic:.2g} | {fused:.2g} to {unfused:.2g}")
            launches = cost.operations * LAUNCH / 1000
            bounds.append(f"| {name} | {' | '.join(parts)} | {launches:.2g} |")
    print("\n| work | form | A100: arithmetic | memory | H100: arithmetic | memory | launches |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(bounds))
    print("\n| model, float16 | operations | GMAC | MB by kernel | arithmetic | memory |")
    print("|---|---|---|---|---|---|")
    for experiment in PHONE_MODELS:
        cost = traced_for_phones(experiment)
        arithmetic, fused, unfused = milliseconds(cost, PHONE, "float16", 0.5)
        megabytes = 500 * cost.gigabytes_by_operation
        print(
            f"| {experiment} | {cost.operations} | {cost.gmac:.3g} | {megabytes:.3g} "
            f"| {arithmetic:.2g} | {fused:.2g} to {unfused:.2g} |"
        )


if __name__ == "__main__":
    main()
