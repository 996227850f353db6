"""Command line of the project: `python run.py COMMAND --flags`."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags

USAGE = """usage: python run.py COMMAND [--flags]

  prepare   files → TFRecords, once per data set
  doctor    what is wrong with a data set, and how to put it right
  train     trains an experiment, and goes on where it was interrupted
  generate  label maps → pictures
  export    a trained model → SavedModel, LiteRT
  serve     a SavedModel → REST and gRPC
  convert   checkpoints of the official release → a model of this project, and back
  benchmark timings as JSON lines

python run.py COMMAND --help lists the flags of a command; python run.py train alone trains
the built-in landscapes."""

EXPERIMENTS = Path(__file__).parent / "experiments"
FORMATS = ("saved_model", "litert")


class Flags(flags.FlagValues):
    """The flags of one command, apart from those of other modules and calls."""

    def __getattr__(self, name):
        """Defines a flag (`define_integer(...)`) or returns its value."""
        if name.startswith("define_"):
            define = getattr(flags, "DEFINE_" + name.removeprefix("define_"))
            return functools.partial(define, flag_values=self)
        return super().__getattr__(name)


def _define_source(values: Flags) -> None:
    from pipelines.catalogue import DATASETS
    from pipelines.layouts import LAYOUTS
    from pipelines.palettes import PALETTES

    values.define_enum("dataset", "paired_folder", list(DATASETS), "Which data set.")
    layouts = "; ".join(f"{name}: {layout}" for name, layout in LAYOUTS.items())
    values.define_string("source_dir", None, f"What it is made from. {layouts}.")
    values.define_string("config_name", None, "Which configuration of it, such as outdoor.")
    values.define_integer("num_classes", None, "Number of classes, unknown not counted.")
    values.define_list("class_names", None, "Their names, id 0 first.")
    values.define_string(
        "palette",
        None,
        f"Masks hold colours: of {', '.join(PALETTES)}, or of a file; indices: masks have palettes "
        "whose indices are the ids.",
    )

    for kind, what in (("image", "photographs"), ("label", "label maps"), ("instance", "others")):
        values.define_string(
            f"{kind}_files",
            None,
            f"paired_folder: where the {what} lie, such as '{{split}}_{kind}/*' or "
            f"'{kind}s/*_{kind}.png'; * is the name that they share.",
        )
    values.define_enum("off_palette", None, ["stop", "unknown"], "Of colours not in the palette.")


def _define_prepare(values: Flags) -> None:
    _define_source(values)
    values.define_string("data_dir", "data", "Where prepared data sets are kept.")
    values.define_enum("on_bad_file", "stop", ["stop", "skip"], "skip writes a list of them.")
    values.define_string("segmenter", None, "flickr_landscapes: the network that labels.")
    values.define_float("segmenter_scale", None, "flickr_landscapes: what pixels are times.")
    values.define_float("segmenter_offset", None, "flickr_landscapes: what is then added.")
    values.define_integer("height", None, "landscapes: height in pixels.")
    values.define_integer("width", None, "landscapes: width in pixels.")
    values.define_integer("num_train", None, "landscapes: pictures to train on.")
    values.define_integer("num_val", None, "landscapes: pictures to validate on.")
    values.define_integer("seed", 0, "landscapes: what is drawn is a function of it.")
    values.define_string("beam_runner", None, "Prepare with Apache Beam, such as DirectRunner.")
    values.define_list("beam_options", [], "Of Beam, such as direct_num_workers=2.")


def _prepare(values: Flags) -> None:
    from pipelines.prepare import prepare

    summary = prepare(
        values.dataset,
        data_dir=values.data_dir,
        source_dir=values.source_dir,
        config=values.config_name,
        num_classes=values.num_classes,
        class_names=values.class_names,
        palette=values.palette,
        off_palette=values.off_palette or "stop",
        image_files=values.image_files,
        label_files=values.label_files,
        instance_files=values.instance_files,
        segmenter=values.segmenter,
        segmenter_scale=values.segmenter_scale,
        segmenter_offset=values.segmenter_offset,
        height=values.height,
        width=values.width,
        num_train=values.num_train,
        num_val=values.num_val,
        seed=values.seed,
        on_bad_file=values.on_bad_file,
        beam_runner=values.beam_runner,
        beam_options=values.beam_options,
    )
    counts = ", ".join(f"{count} {split}" for split, count in summary["num_examples"].items())
    state = "already prepared" if summary["already_prepared"] else "prepared"
    print(
        f"{state}: {counts} in {sum(summary['num_shards'].values())} shards, "
        f"{summary['num_bytes'] / 2**20:.1f} MiB, {summary['seconds']:.1f} s: {summary['path']}",
        file=sys.stderr,
    )
    if summary["skipped"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary["skipped"].items())
        print(f"skipped: {kinds}; listed in {summary['skipped_file']}", file=sys.stderr)
    if summary["left_out"]:
        from pipelines.listing import describe_left_out

        print(describe_left_out(summary["left_out"]), file=sys.stderr)
    if summary["num_off_palette"]:
        print(f"pixels off the palette: {summary['num_off_palette']}", file=sys.stderr)


def _define_doctor(values: Flags) -> None:
    _define_source(values)
    values.define_string("output_dir", None, "Where the histogram and the contact sheet go.")
    values.define_integer("max_files", None, "Of how many examples the files are read.")


def _doctor(values: Flags) -> int:
    from pipelines.doctor import diagnose, print_diagnosis

    diagnosis = diagnose(
        values.dataset,
        values.source_dir,
        output_dir=values.output_dir,
        num_classes=values.num_classes,
        class_names=values.class_names,
        palette=values.palette,
        config=values.config_name,
        off_palette=values.off_palette or "stop",
        image_files=values.image_files,
        label_files=values.label_files,
        instance_files=values.instance_files,
        max_files=values.max_files,
    )
    print_diagnosis(diagnosis)
    return diagnosis.exit_status


def _define_train(values: Flags) -> None:
    values.define_string("data_dir", "data", "Where prepared data sets are kept.")
    values.define_string("workdir", None, "Where to write; default runs/NAME.")
    values.define_enum(
        "strategy",
        "auto",
        ["auto", "one", "mirrored", "multi_worker_mirrored", "tpu"],
        "What to train on; auto: the workers of TF_CONFIG, or all devices of this machine.",
    )
    values.define_integer(
        "num_virtual_cpus", 1, "Devices to split the processor into: MirroredStrategy without GPUs."
    )
    values.define_integer("local_workers", 0, "Worker processes to start on this machine, to try.")
    values.define_float("connect_seconds", 300.0, "How long to wait for the other workers.")
    values.define_list("profile_steps", None, "First and last step to profile for TensorBoard.")


def _train(values: Flags) -> int:
    if values.local_workers > 1:
        from experiments.launcher import train_local_workers

        own = ("--local_workers", "--nolocal_workers")
        flags_of_one = [item for item in sys.argv[2:] if not item.startswith(own)]
        return train_local_workers(values.local_workers, flags_of_one)
    from experiments.train import train

    train(
        values.config,
        data_dir=values.data_dir,
        workdir=values.workdir or f"runs/{values.config.name}",
        strategy=values.strategy,
        num_virtual_cpus=values.num_virtual_cpus,
        profile_steps=_steps(values.profile_steps),
        connect_seconds=values.connect_seconds,
    )
    return 0


def _steps(given: list[str] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    if len(given) != 2 or not all(item.isdecimal() for item in given):
        raise ValueError(f"--profile_steps={','.join(given)}: give two steps, such as 100,110")
    return int(given[0]), int(given[1])


def _define_generate(values: Flags) -> None:
    values.define_string("model", None, "Workdir of a training, or a SavedModel.")
    values.define_string("endpoint", None, "Server to ask: grpc://HOST:PORT or http://HOST:PORT.")
    values.define_string("model_name", None, "endpoint: as the server knows the model.")
    values.define_string("labels", None, "Folder of label map PNGs; default the validation split.")
    values.define_string("instances", None, "Folder of instance PNGs with the same names.")
    values.define_string("style_image", None, "Photograph whose style the pictures get.")
    values.define_integer("seed", 0, "Of drawn styles.")
    values.define_integer("num_samples", 1, "Pictures per label map, in different styles.")
    values.define_integer("max_labels", None, "How many label maps.")
    values.define_string("output_dir", "out", "Where the pictures go.")
    values.define_string("data_dir", None, "Where the model's data set is, if it was moved.")


def _generate(values: Flags) -> None:
    from experiments.generate import generate

    generate(
        values.model,
        endpoint=values.endpoint,
        model_name=values.model_name,
        output_dir=values.output_dir,
        labels=values.labels,
        instances=values.instances,
        style_image=values.style_image,
        seed=values.seed,
        num_samples=values.num_samples,
        max_labels=values.max_labels,
        data_dir=values.data_dir,
    )


def _define_export(values: Flags) -> None:
    values.define_string("model", None, "Workdir of a training.", required=True)
    values.define_list("format", ["saved_model"], f"What to write: of {', '.join(FORMATS)}.")
    values.define_string("output_dir", None, "Of the model's versions.", required=True)
    values.define_list("variants", None, "litert: which, such as float32,float16; default all.")
    values.define_list("allow_below_bound", [], "litert: variants to write all the same, marked.")
    values.define_string("data_dir", None, "litert: where the data set is, if it was moved.")
    values.define_string("serving_image", None, "Of TF Serving; default tensorflow/serving:latest.")
    values.define_integer(
        "max_pixels",
        None,
        "saved_model: most pixels that are made of one label map: height x width x styles. "
        "Default: 1,048,576, or four times the trained size if that is more.",
        lower_bound=1,
    )


def _export(values: Flags) -> None:
    unknown = [name for name in values.format if name not in FORMATS]
    if unknown or not values.format:
        raise ValueError(f"--format={','.join(values.format)}: give some of {', '.join(FORMATS)}")
    if "saved_model" in values.format:
        from experiments.export import export

        export(
            values.model,
            output_dir=values.output_dir,
            serving_image=values.serving_image,
            max_pixels=values.max_pixels,
        )
    if "litert" in values.format:
        from experiments.export_litert import export_litert

        export_litert(
            values.model,
            output_dir=values.output_dir,
            variants=values.variants,
            allow_below_bound=values.allow_below_bound,
            data_dir=values.data_dir,
        )


def _define_serve(values: Flags) -> None:
    values.define_string("model", None, "An export, or its versions.", required=True)
    values.define_integer("port", 8080, "Of REST.", lower_bound=1, upper_bound=65535)
    values.define_integer(
        "grpc_port", 8081, "gRPC port; 0 for none.", lower_bound=0, upper_bound=65535
    )
    values.define_string("model_name", None, "In requests; default the name of its folder.")
    values.define_integer(
        "micro_batch", 1, "Pictures that concurrent requests are made in at once.", lower_bound=1
    )
    values.define_integer("num_threads", 1, "Batches that are made at once.", lower_bound=1)
    values.define_integer("max_body_mib", 16, "Of a request.", lower_bound=1)
    values.define_integer("max_batch", 16, "Label maps of a request.", lower_bound=1)
    values.define_integer("max_pixels", 1 << 22, "Of all its pictures.", lower_bound=1)
    values.define_integer("max_queue", 256, "Requests that wait at once.", lower_bound=1)
    values.define_float("receive_seconds", 20.0, "That a body may take to arrive.")


def _serve(values: Flags) -> None:
    from experiments.serve import serve

    serve(
        values.model,
        port=values.port,
        grpc_port=values.grpc_port,
        model_name=values.model_name,
        micro_batch=values.micro_batch,
        num_threads=values.num_threads,
        max_body_bytes=values.max_body_mib << 20,
        max_batch=values.max_batch,
        max_pixels=values.max_pixels,
        max_queue=values.max_queue,
        receive_seconds=values.receive_seconds,
    )


def _define_convert(values: Flags) -> None:
    values.define_enum("source", None, ["nvlabs"], "Convert from the official release.")
    values.define_enum("target", None, ["nvlabs"], "Convert to the official release.")
    values.define_string("checkpoint_dir", None, "source: folder of latest_net_G.pth and others.")
    values.define_string("model", None, "target: workdir of a training.")
    values.define_string("options", None, "source: options.json or opt.txt of the checkpoint.")
    values.define_string("class_names", None, "source: file of class names, one a line.")
    values.define_string("dataset", None, "source: prepared data set to go on training on.")
    values.define_string("data_dir", "data", "Where prepared data sets are kept.")
    values.define_bool("unknown_first", False, "The official networks have id 0 for unknown.")
    values.define_bool("legacy", False, "target: the file format of PyTorch before 1.6.")
    values.define_string("output", None, "Folder to write.", required=True)


def _convert(values: Flags) -> None:
    from experiments.convert import convert

    convert(
        output=values.output,
        source=values.source,
        target=values.target,
        checkpoint_dir=values.checkpoint_dir,
        model=values.model,
        options=values.options,
        class_names=values.class_names,
        dataset=values.dataset,
        data_dir=values.data_dir,
        unknown_first=values.unknown_first,
        legacy=values.legacy,
    )


def _define_benchmark(values: Flags) -> None:
    suites = ["generator", "train", "style", "edit", "scaling", "input"]
    values.define_enum("suite", "generator", suites, "What to measure.")
    values.define_string("labels", None, "Folder of label map PNGs; not for input.")
    values.define_string("instances", None, "Folder of instance PNGs with the same names.")
    values.define_integer("num_labels", 183, "Label ids of the generator, unknown included.")
    values.define_integer("repeats", 3, "Runs per label map and case.")
    values.define_integer("max_labels", None, "How many label maps.")
    values.define_string("data_dir", "data", "input: where prepared data sets are kept.")
    values.define_string("dataset", "paired_folder", "input: the prepared data set.")


def _benchmark(values: Flags) -> None:
    if values.suite == "input":
        from experiments.benchmark_input import benchmark_input

        benchmark_input(data_dir=values.data_dir, dataset=values.dataset, output=sys.stdout)
        return
    if values.labels is None:
        raise ValueError(f"--suite={values.suite} needs --labels, a folder of label map PNGs")
    from experiments.benchmark import benchmark

    benchmark(
        values.suite,
        values.config,
        labels=values.labels,
        instances=values.instances,
        num_labels=values.num_labels,
        repeats=values.repeats,
        max_labels=values.max_labels,
    )


# Defines the flags of a command, and runs it; what it returns, if anything, is the exit code.
COMMANDS: dict[str, tuple[Callable[[Flags], None], Callable[[Flags], int | None]]] = {
    "prepare": (_define_prepare, _prepare),
    "doctor": (_define_doctor, _doctor),
    "train": (_define_train, _train),
    "generate": (_define_generate, _generate),
    "export": (_define_export, _export),
    "serve": (_define_serve, _serve),
    "convert": (_define_convert, _convert),
    "benchmark": (_define_benchmark, _benchmark),
}
# Commands that take an experiment, and the one that they take by default.
CONFIGURABLE = {"train": "landscapes.py", "benchmark": "coco_stuff.py"}


def main(arguments: list[str]) -> int:
    """Runs a command.

    Args:
        arguments: the command and its flags.

    Returns:
        The exit code: 0, or 2 for anything that the user can put right, after one line on stderr.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if arguments else 2
    command, *rest = arguments
    if command not in COMMANDS:
        return _fail(f"{command!r} is no command; give one of {', '.join(COMMANDS)}")
    define, run = COMMANDS[command]
    values = Flags()
    program = f"run.py {command}"
    try:
        if command in CONFIGURABLE:
            config_flags.DEFINE_config_file(
                "config",
                str(EXPERIMENTS / CONFIGURABLE[command]),
                "The experiment; any key of it as --config.SECTION.KEY=VALUE.",
                flag_values=values,
                sys_argv=[program, *rest],
            )
        define(values)
        values.define_integer("verbosity", -1, "0: TensorFlow's messages; 1: tracebacks, too.")
        if any(argument in ("-h", "--help") for argument in rest):
            print(f"python run.py {command} [--flags]{values.get_help()}")
            return 0
        left = values([program, *rest])
        if len(left) > 1:
            return _fail(f"{left[1]!r} is not a flag; flags are --name=value")
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return _fail(_flag_error(error, rest))
    _quieten(values.verbosity)
    try:
        return run(values) or 0
    except (ValueError, OSError) as error:
        # Every room raises ValueErrors of one line for what the user can put right.
        if values.verbosity > 0:
            raise
        # A message without a word in it would leave the user in the dark.
        text = str(error)
        return _fail(text if " " in text else f"{type(error).__name__}: {text}")
    except KeyboardInterrupt:
        return _fail("interrupted")


def _flag_error(error: Exception, arguments: list[str]) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    if isinstance(error, KeyError | AttributeError):
        overrides = [item for item in arguments if item.startswith("--config.")]
        return f"{' or '.join(overrides)}: {text}; the keys are those of experiments/schema.py"
    return text


def _quieten(verbosity: int) -> None:
    """Silences TensorFlow's start-up, unless --verbosity=0 (messages) or 1 (and tracebacks)."""
    logging.set_verbosity(verbosity)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbosity >= 0 else "3")
    if verbosity >= 0 or "tensorflow" in sys.modules:
        return
    # Some of it is written, whatever that level, before there is a logger to ask: hence the detour.
    with tempfile.TemporaryFile() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def cli() -> None:
    """The `spade-tf` command."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    cli()
