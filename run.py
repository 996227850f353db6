"""Command line of the project: `python run.py COMMAND --flags`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags

FLAGS = flags.FLAGS

USAGE = """usage: python run.py COMMAND [--flags]

  prepare   files → TFRecords, once per data set
  train     trains an experiment, and goes on where it was interrupted
  generate  label maps → pictures
  export    a trained model → SavedModel

python run.py COMMAND --help lists the flags of a command; python run.py train alone trains
the built-in landscapes."""


def _define_prepare() -> None:
    flags.DEFINE_enum(
        "dataset", "paired_folder", ["paired_folder", "landscapes"], "What to prepare."
    )
    flags.DEFINE_string("source_dir", None, "Folder of the source files.")
    flags.DEFINE_string("data_dir", "data", "Where prepared data sets are kept.")
    flags.DEFINE_integer("num_classes", None, "Number of classes, unknown not counted.")
    flags.DEFINE_integer("height", None, "landscapes: height in pixels.")
    flags.DEFINE_integer("width", None, "landscapes: width in pixels.")
    flags.DEFINE_integer("num_train", None, "landscapes: pictures to train on.")
    flags.DEFINE_integer("num_val", None, "landscapes: pictures to validate on.")
    flags.DEFINE_integer("seed", 0, "landscapes: what is drawn is a function of it.")


def _prepare() -> None:
    from pipelines.prepare import prepare

    summary = prepare(
        FLAGS.dataset,
        source_dir=FLAGS.source_dir,
        data_dir=FLAGS.data_dir,
        num_classes=FLAGS.num_classes,
        height=FLAGS.height,
        width=FLAGS.width,
        num_train=FLAGS.num_train,
        num_val=FLAGS.num_val,
        seed=FLAGS.seed,
    )
    counts = ", ".join(f"{count} {split}" for split, count in summary["num_examples"].items())
    state = "already prepared" if summary["already_prepared"] else "prepared"
    print(
        f"{state}: {counts} in {sum(summary['num_shards'].values())} shards, "
        f"{summary['num_bytes'] / 2**20:.1f} MiB, {summary['seconds']:.1f} s: {summary['path']}",
        file=sys.stderr,
    )


def _define_train() -> None:
    config_flags.DEFINE_config_file(
        "config",
        str(Path(__file__).parent / "experiments" / "landscapes.py"),
        "The experiment; any key of it as --config.SECTION.KEY=VALUE.",
    )
    flags.DEFINE_string("data_dir", "data", "Where prepared data sets are kept.")
    flags.DEFINE_string("workdir", None, "Where to write; default runs/NAME.")
    flags.DEFINE_integer(
        "num_virtual_cpus", 1, "Devices to split the processor into: MirroredStrategy without GPUs."
    )


def _train() -> None:
    from experiments.train import train

    train(
        FLAGS.config,
        data_dir=FLAGS.data_dir,
        workdir=FLAGS.workdir or f"runs/{FLAGS.config.name}",
        num_virtual_cpus=FLAGS.num_virtual_cpus,
    )


def _define_generate() -> None:
    flags.DEFINE_string("model", None, "Workdir of a training, or a SavedModel.", required=True)
    flags.DEFINE_string("labels", None, "Folder of label map PNGs; default the validation split.")
    flags.DEFINE_string("instances", None, "Folder of instance PNGs with the same names.")
    flags.DEFINE_string("style_image", None, "Photograph whose style the pictures get.")
    flags.DEFINE_integer("seed", 0, "Of drawn styles.")
    flags.DEFINE_integer("num_samples", 1, "Pictures per label map, in different styles.")
    flags.DEFINE_integer("max_labels", None, "How many label maps.")
    flags.DEFINE_string("output_dir", "out", "Where the pictures go.")


def _generate() -> None:
    from experiments.generate import generate

    generate(
        FLAGS.model,
        output_dir=FLAGS.output_dir,
        labels=FLAGS.labels,
        instances=FLAGS.instances,
        style_image=FLAGS.style_image,
        seed=FLAGS.seed,
        num_samples=FLAGS.num_samples,
        max_labels=FLAGS.max_labels,
    )


def _define_export() -> None:
    flags.DEFINE_string("model", None, "Workdir of a training.", required=True)
    flags.DEFINE_enum("format", "saved_model", ["saved_model"], "What to write.")
    flags.DEFINE_string("output_dir", None, "Of the model's versions.", required=True)


def _export() -> None:
    from experiments.export import export

    export(FLAGS.model, output_dir=FLAGS.output_dir)


COMMANDS: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    "prepare": (_define_prepare, _prepare),
    "train": (_define_train, _train),
    "generate": (_define_generate, _generate),
    "export": (_define_export, _export),
}


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
    try:
        define()
        if any(argument in ("-h", "--help") for argument in rest):
            print(f"python run.py {command}\n{FLAGS.main_module_help()}")
            return 0
        left = FLAGS([f"run.py {command}", *rest])
        if len(left) > 1:
            return _fail(f"{left[1]!r} is not a flag; flags are --name=value")
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return _fail(_flag_error(error))
    _quieten(FLAGS.verbosity)
    try:
        run()
    except (ValueError, OSError) as error:
        # Every room raises ValueErrors of one line for what the user can put right.
        if FLAGS.verbosity > 0:
            raise
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted")
    return 0


def _flag_error(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    if isinstance(error, KeyError | AttributeError):
        overrides = [item for item in sys.argv if item.startswith("--config.")]
        return f"{' or '.join(overrides)}: {text}; the keys are those of experiments/schema.py"
    return text


def _quieten(verbosity: int) -> None:
    """Silences TensorFlow's start-up, unless --verbosity=0 (information) or 1 (and tracebacks)."""
    logging.set_verbosity(verbosity)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbosity >= 0 else "3")
    if verbosity >= 0:
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
