"""Prints the table of docs/EDGE.md: cost of each model variant, and its difference to Keras.

    python tests/proofs/edge_table.py --data_dir=data runs/landscapes_edge_clade \
        runs/landscapes_edge_spade

Each workdir is exported to a temporary folder, with all measurements of an export. Then each model
runs on the same GPU accelerator as in tests/proofs/gpu_delegate.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))
sys.path.insert(0, str(ROOT))
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
    """Prints the table, or with `--costs` the costs; with `--picture` draws a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", nargs="*")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument(
        "--costs", action="store_true", help="costs of the presets, without training"
    )
    parser.add_argument("--picture", help="PNG to write instead: pictures of a model's variants")
    arguments = parser.parse_args()
    if arguments.costs:
        return print_costs()
    if arguments.picture:
        return draw(arguments.workdirs[0], arguments.data_dir, Path(arguments.picture))

    from gpu_delegate import NO_SWIFTSHADER, NoSwiftShaderError, swiftshader

    try:
        environment = swiftshader()
    except NoSwiftShaderError as error:
        print(f"edge table: not made ({error})", file=sys.stderr)
        return NO_SWIFTSHADER
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    for workdir in arguments.workdirs:
        for row in rows(workdir, arguments.data_dir, environment):
            print_row(row)
    return 0


def print_row(cells):
    """A line of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


def print_costs() -> int:
    """The costs of the presets at each width. They do not depend on weights."""
    import numpy as np

    from experiments import landscapes_edge_clade, landscapes_edge_spade
    from experiments.setup.networks import make_generator
    from pipelines.landscapes.classes import CLASS_NAMES, PALETTE
    from pipelines.schema import LabelSet
    from spade_tf.export.litert.edge_form import edge_form
    from spade_tf.export.litert.functions import edge_functions
    from spade_tf.export.litert.model import LiteRTModel

    labels = LabelSet(tuple(CLASS_NAMES), tuple(PALETTE), False, True)
    columns = ("preset", "filters", "GMAC", "float16, MiB", "float32 on the CPU, ms")
    print_row(columns)
    print_row(["---"] * len(columns))
    for preset in (landscapes_edge_clade, landscapes_edge_spade):
        for filters in (16, 32):
            config = preset.get_config()
            config.generator.filters = filters
            generator = make_generator(config, labels)
            function, _ = edge_functions(edge_form(generator))
            model = LiteRTModel(function.convert("float32"))
            height, width = generator.image_size
            inputs = {
                "semantics": np.zeros((1, height, width, generator.semantic_channels), "float32"),
                "z": np.zeros((1, generator.z_dim), "float32"),
            }
            print_row(
                (
                    config.name,
                    str(filters),
                    f"{model.operations().multiply_adds / 1e9:.2f}",
                    f"{len(function.convert('float16')) / 2**20:.2f}",
                    f"{model.milliseconds(inputs):.0f}",
                )
            )
    return 0


def draw(workdir, data_dir, path) -> int:
    """Draws label maps, and the pictures of Keras and of the variants."""
    import numpy as np

    from experiments.commands.export.litert import NUM_CALIBRATION_LAYOUTS, read_layouts
    from experiments.setup.trained_model import load_workdir
    from spade_tf.export.litert.edge_form import edge_form, float32_copy
    from spade_tf.export.litert.functions import edge_functions, edge_inputs
    from spade_tf.export.litert.model import LiteRTModel
    from spade_tf.training.pictures import colorize, grid, to_uint8, write_png

    loaded = load_workdir(workdir)
    layouts, _ = read_layouts(loaded, "val", 4, data_dir)
    calibration, _ = read_layouts(loaded, "train", NUM_CALIBRATION_LAYOUTS, data_dir)
    reference = float32_copy(loaded.generator)
    function, _ = edge_functions(edge_form(loaded.generator))
    representative = [
        {name: example[name] for name in function.inputs}
        for example in edge_inputs(reference, calibration, 1)
    ]
    models = [LiteRTModel(function.convert(name, representative)) for name in ("float16", "int8")]
    table = []
    for layout, inputs in zip(layouts, edge_inputs(reference, layouts), strict=True):
        expected = reference(layout, z=inputs.get("z"), training=False).numpy()
        pictures = [expected, *(model(**inputs)["image"] for model in models)]
        label = colorize(np.asarray(layout["label"])[0], loaded.labels.palette)
        table.append([label, *(to_uint8(picture[0]) for picture in pictures)])
    write_png(path, grid(table))
    return 0


def rows(workdir, data_dir, environment):
    """A row for each variant of a trained model."""
    import numpy as np

    from experiments.commands.export.export import export
    from experiments.commands.export.litert import read_layouts
    from experiments.setup.trained_model import load_workdir
    from spade_tf.export.litert.edge_form import float32_copy
    from spade_tf.export.litert.functions import edge_inputs
    from spade_tf.export.litert.gpu import GPUError, run_on_gpu
    from spade_tf.export.litert.model import LiteRTModel

    loaded = load_workdir(workdir)
    layouts, _ = read_layouts(loaded, "val", 1, data_dir)
    reference = float32_copy(loaded.generator)
    inputs = edge_inputs(reference, layouts)
    expected = reference(layouts[0], z=inputs[0].get("z"), training=False).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = export(
            workdir,
            formats=["litert"],
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
