"""Counts operations of the project's graphs: `python tests/proofs/graph_operations.py --output=F`.

Writes a JSON of operation counts by type: of training steps, of the generator's fused forms, of
every signature of an export, and of LiteRT models. A change that is to leave behaviour alone leaves
these counts alone. `--parts=A,B` counts some of the parts of `PARTS` only.
"""

import argparse
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Where modules are, the newest place first: older versions of the project can be counted too.
MODULES = {
    "assemble": ("experiments.setup.assemble", "experiments.assemble"),
    "networks": ("experiments.setup.networks", "experiments.assemble"),
    "litert": ("spade_tf.export.litert.functions", "spade_tf.export.litert"),
    "litert_model": ("spade_tf.export.litert.model", "spade_tf.export.litert_model"),
    "edge_form": ("spade_tf.export.litert.edge_form", "spade_tf.export.edge_form"),
    "signatures": ("spade_tf.export.signatures",),
    "strategy": ("spade_tf.training.strategy",),
    "labels": ("pipelines.schema",),
}

SIZE = 64
BATCH_SIZE = 2

Counts = dict[str, int]


def module(name: str) -> Any:
    """A module of the project, by its name in `MODULES`."""
    for place in MODULES[name]:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if not place.startswith(str(error.name)):
                raise
    raise ImportError(f"{name}: in none of {', '.join(MODULES[name])}")


def count_graph(graph_def: Any) -> Counts:
    """Operations of a graph by type; those of a function's body count at every call of it."""
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    known: dict[str, Counter] = {}

    def body(name: str) -> Counter:
        if name not in known:
            known[name] = count(functions[name])
        return known[name]

    def count(nodes: Iterable[Any]) -> Counter:
        total: Counter = Counter()
        for node in nodes:
            total[node.op] += 1
            for value in node.attr.values():
                for called in [value.func, *value.list.func]:
                    if called.name:
                        total.update(body(called.name))
        return total

    return dict(sorted(count(graph_def.node).items()))


def experiment(name: str) -> tuple[Any, Any]:
    """The configuration of an experiment with small networks and pictures, and its label set."""
    config = importlib.import_module(f"experiments.{name}").get_config()
    data = config.data
    data.load_height = data.load_width = data.height = data.width = SIZE
    config.generator.filters = config.discriminator.filters = config.encoder.filters = 4
    config.generator.hidden_filters = 8
    # The counts are of the paper's forms.
    config.generator.upsampling, config.generator.padding = "nearest", "zeros"
    config.generator.noise_inputs = False
    config.discriminator.architecture, config.train.augment = "patch", ""
    config.train.spade_form = "auto"
    config.loss.feature_matching_weight, config.loss.l1_weight = 10.0, 0.0
    # Weights of VGG are not at hand everywhere.
    config.loss.perceptual_weight = 0.0
    classes = {"landscapes": 12, "coco_stuff": 182}[name]
    unknown = name == "coco_stuff"
    names = tuple(f"class {index}" for index in range(classes))
    palette = ((0, 0, 0),) * (classes + unknown)
    return config, module("labels").LabelSet(names, palette, unknown, True)


def train_step(name: str, devices: int) -> Counts:
    """A training step of an experiment, on one device or on several mirrored ones."""
    import tensorflow as tf

    config, labels = experiment(name)
    strategy = module("strategy").make_strategy("one" if devices == 1 else "mirrored")
    assert strategy.num_replicas_in_sync == devices, "start it as the first of its process"
    with strategy.scope():
        model = module("assemble").make_gaugan(config, labels)
    maps = tf.zeros([BATCH_SIZE, SIZE, SIZE], tf.int32)
    batch = {"image": tf.zeros([BATCH_SIZE, SIZE, SIZE, 3]), "label": maps, "instance": maps}
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    distributed = next(iter(strategy.experimental_distribute_dataset(dataset)))

    @tf.function(autograph=False)
    def step(batch):
        losses = strategy.run(model.train_step, args=(batch,))
        mean = tf.distribute.ReduceOp.MEAN
        return {name: strategy.reduce(mean, loss, axis=None) for name, loss in losses.items()}

    return count_graph(step.get_concrete_function(distributed).graph.as_graph_def())


def fused(**options: Any) -> Counts:
    """A fused form of the generator of `landscapes`, for label maps of any number and diversity."""
    import tensorflow as tf

    generator = module("networks").make_generator(*experiment("landscapes")).fuse(**options)
    maps = tf.TensorSpec([None, None, None], tf.int32)
    function = tf.function(generator.__call__, autograph=False)
    z = tf.TensorSpec([None, generator.z_dim], tf.float32)
    concrete = function.get_concrete_function({"label": maps, "instance": maps}, z=z)
    return count_graph(concrete.graph.as_graph_def())


def signatures() -> dict[str, Counts]:
    """Every signature of an export of `landscapes`, with its encoder and styles."""
    networks = module("networks")
    config, labels = experiment("landscapes")
    served = module("signatures").ServedModel(
        networks.make_generator(config, labels),
        networks.make_encoder(config, labels),
        None,
        {"model_card.md": "# landscapes\n"},
    )
    return {
        f"export {name}": count_graph(function.graph.as_graph_def())
        for name, function in sorted(served.signatures().items())
    }


def litert() -> dict[str, Counts]:
    """LiteRT models of `landscapes`: of one-hot maps in float32 and int8, of ids, its encoder."""
    networks, models = module("networks"), module("litert")
    config, labels = experiment("landscapes")
    generator, encoder = (
        networks.make_generator(config, labels),
        networks.make_encoder(config, labels),
    )
    one_hot, ids = models.edge_functions(module("edge_form").edge_form(generator))
    import numpy as np

    example = {name: np.zeros(spec.shape, "float32") for name, spec in one_hot.inputs.items()}
    contents = {
        "litert float32": one_hot.convert("float32"),
        "litert int8": one_hot.convert("int8", [example]),
        "litert ids_float32": ids.convert("float32"),
        "litert encoder": models.encoder_function(encoder).convert("float32"),
    }
    model = module("litert_model").LiteRTModel
    return {name: dict(model(content).operations().counts) for name, content in contents.items()}


def _named(name: str, count: Callable[..., Counts], *args: Any, **options: Any) -> Any:
    return lambda: {name: count(*args, **options)}


PARTS: dict[str, Callable[[], dict[str, Counts]]] = {
    f"train_{name}_{devices}": _named(f"train step {name} {devices}", train_step, name, devices)
    for name in ("landscapes", "coco_stuff")
    for devices in (1, 2)
} | {
    "fused_float32": _named("fused float32", fused),
    "fused_float32_xla": _named("fused float32 xla", fused, jit_compile=True),
    "fused_winograd": _named("fused float32 winograd", fused, jit_compile=True, winograd=True),
    "fused_bfloat16": _named("fused bfloat16", fused, dtype="bfloat16"),
    "signatures": signatures,
    "litert": litert,
}


def versions() -> dict[str, str]:
    """Of what decides, beside the project, which operations a graph has."""
    import keras
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(PARTS))
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(Path(__file__).parents[2]))
    module("strategy").configure_virtual_cpus(2)
    counts: dict[str, Counts] = {}
    for name in arguments.parts.split(","):
        counts |= PARTS[name]()
        print(name, file=sys.stderr, flush=True)
    content = {"versions": versions(), "counts": counts}
    arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
