"""Prints the table of docs/EDGE.md: what the variants of trained models cost, and how close they are.

    python tests/edge_table.py --data_dir=data runs/landscapes_edge_clade runs/landscapes_edge_spade

Each workdir is exported to a folder of its own for the time being, with all that an export measures;
then each model runs on the GPU accelerator, as tests/gpu_delegate.py has it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

VARIANTS = ("float32", "float16", "dynamic_int8", "int8")
COLUMNS = (
    "model",
    "variant",
    "GMAC",
    "MiB",
    "PSNR, dB",
    "largest difference",
    "CPU, ms",
    "fully accelerated",
    "GPU: largest difference",
)


def main() -> int:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", nargs="+")
    parser.add_argument("--data_dir", default="data")
    arguments = parser.parse_args()

    from gpu_delegate import NO_SWIFTSHADER, NoSwiftShaderError, swiftshader

    try:
        environment = swiftshader()
    except NoSwiftShaderError as error:
        print(f"edge table: not made ({error})", file=sys.stderr)
        return NO_SWIFTSHADER
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for workdir in arguments.workdirs:
        for row in rows(workdir, arguments.data_dir, environment):
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


def rows(workdir, data_dir, environment):
    """A row for each variant of a trained model."""
    import numpy as np

    from experiments.assemble import load_workdir
    from experiments.export_litert import export_litert, read_layouts
    from spade_tf.export.edge_form import float32_copy
    from spade_tf.export.litert import edge_inputs
    from spade_tf.export.litert_gpu import GPUError, run_on_gpu
    from spade_tf.export.litert_model import LiteRTModel

    loaded = load_workdir(workdir)
    layouts, _ = read_layouts(loaded, "val", 1, data_dir)
    reference = float32_copy(loaded.generator)
    inputs = edge_inputs(reference, layouts)
    expected = reference(layouts[0], z=inputs[0].get("z"), training=False).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = export_litert(
            workdir,
            output_dir=folder,
            variants=VARIANTS,
            allow_below_bound=VARIANTS,
            data_dir=data_dir,
        )
        for variant in VARIANTS:
            file = path / f"generator_{variant}.tflite"
            facts = json.loads(file.with_suffix(".json").read_text())
            model = LiteRTModel(file.read_bytes())
            try:
                run = run_on_gpu(file, [model.given(inputs[0])], environment=environment)
                accelerated = "yes" if run.fully_accelerated else "no"
                given = run.outputs
                if given.dtype == np.int8:
                    tensor = facts["outputs"][0]["quantization"]
                    given = (given.astype("float32") - tensor["zero_point"]) * tensor["scale"]
                difference = f"{np.max(np.abs(given - expected)):.1e}"
            except GPUError as error:
                print(error, file=sys.stderr)
                accelerated, difference = "no", "–"
            against = facts["against_keras"]
            yield (
                f"{Path(workdir).name}",
                variant,
                f"{facts['gmac']:.2f}",
                f"{facts['size_bytes'] / 2**20:.2f}",
                f"{against['psnr_db']:.1f}",
                f"{against['max_abs_difference']:.1e}",
                f"{facts['cpu']['milliseconds']:.0f}",
                accelerated,
                difference,
            )


if __name__ == "__main__":
    sys.exit(main())
