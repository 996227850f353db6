"""The cases of the benchmark: layouts, generators, and one training iteration."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Layout(NamedTuple):
    """A label map for timing.

    Attributes:
        name: name of its file, or a word for its content.
        label: int32 `[B, H, W]`.
        instance: int32 `[B, H, W]`.
    """

    name: str
    label: np.ndarray
    instance: np.ndarray


class Setting(NamedTuple):
    """The generator that is timed.

    Attributes:
        num_labels: number of ids of the generator, unknown included.
        size: `(height, width)`.
        use_instance: whether there is an edge channel.
        filters: base width of the generator.
        z_dim: length of the style vector; 0 for none.
    """

    num_labels: int
    size: tuple[int, int]
    use_instance: bool
    filters: int
    z_dim: int = 0


def make_generator(setting: Setting, form: str = "auto", dtype: str = "float32") -> Any:
    """A generator with weights that give varied pictures, the same weights at every call."""
    from spade_tf.layers.conditioning import Conditioning
    from spade_tf.networks.generator import SPADEGenerator

    generator = SPADEGenerator(
        setting.num_labels,
        setting.size,
        use_instance_edges=setting.use_instance,
        filters=setting.filters,
        z_dim=setting.z_dim or None,
        conditioning=Conditioning(form=form),
        dtype=dtype,
        name="generator",
    )
    rng = np.random.default_rng(0)
    for weight in generator.variables:
        shape = tuple(weight.shape)
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, shape))
        elif weight.dtype == "float32":
            deviation = 0.1 if len(shape) < 2 else float(np.prod(shape[:-1])) ** -0.5
            weight.assign(deviation * rng.standard_normal(shape, "float32"))
    for block in generator.blocks:
        for conv in (block.conv_0, block.conv_1, getattr(block, "conv_s", None)):
            if conv is not None:
                # A matching singular vector, as after training.
                matrix = np.reshape(conv.kernel, [-1, conv.filters])
                vector = np.asarray(conv.u)
                for _ in range(5):
                    left = matrix @ vector
                    left /= np.linalg.norm(left)
                    vector = matrix.T @ left
                    vector /= np.linalg.norm(vector)
                conv.u.assign(vector)
                conv.v.assign(left)
    generator.conv_img.kernel.assign(1.2 * generator.conv_img.kernel)
    return generator


def make_network(name: str, setting: Setting, source: Any = None) -> Any:
    """What a case calls.

    Args:
        name: "FORM/DTYPE", the form one of "dense" (the generator as it is, convolving maps),
            "layers" (as it is, deduplicated), "deduplicated" (fused, with element-wise parts by
            XLA and Winograd's filtering), "deduplicated_without_xla" (fused), and, of the fused
            generator, "main_convolutions" and "main_convolutions_winograd".
        setting: of the generator.
        source: a generator whose weights to take; None to make one.
    """
    form, dtype = name.split("/")
    if source is None or form in ("dense", "layers"):
        source = make_generator(setting, "dense" if form == "dense" else "auto")
    if form == "dense" and dtype == "bfloat16":
        return source.fuse(dtype)
    if form.startswith("deduplicated"):
        fast = form == "deduplicated"
        return source.fuse(dtype, jit_compile=fast, winograd=fast)
    if form.startswith("main_convolutions"):
        from experiments.commands.benchmark.main_convolutions import MainConvolutions

        return MainConvolutions(source, dtype, winograd=form.endswith("_winograd"))
    return source


def make_case(network: Any) -> Callable[..., Any]:
    """A compiled `(label, instance) -> picture`."""
    import tensorflow as tf

    def run(label, instance):
        return network({"label": label, "instance": instance})

    return tf.function(run, autograph=False, reduce_retracing=True)


def training_step(
    form: str, setting: Setting, dtype: str = "float32"
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """One iteration of generator and discriminator with the perceptual loss of a VGG-16.

    Args:
        form: of the generator's SPADE layers, "dense" or "auto".
        setting: of the generator.
        dtype: policy of Keras for the networks that learn.

    Returns:
        From a batch, to its losses.
    """
    from spade_tf.losses.perceptual import PerceptualLoss
    from spade_tf.networks.discriminator import MultiscaleDiscriminator
    from spade_tf.networks.vgg import VGGFeatures
    from spade_tf.training.gaugan import GauGAN

    # Its weights do not affect the time.
    vgg = VGGFeatures("vgg16")
    vgg.build((None, *setting.size, 3))
    model = GauGAN(
        make_generator(setting, form, dtype),
        MultiscaleDiscriminator(
            setting.num_labels,
            use_instance_edges=setting.use_instance,
            filters=setting.filters,
            dtype=dtype,
        ),
        perceptual_loss=PerceptualLoss(vgg),
    )
    model.compile()
    return model.train_step


def training_case(form: str, setting: Setting) -> Callable[[Layout], Any]:
    """The iteration of `training_step` as a case, in float32."""
    import tensorflow as tf

    step = tf.function(training_step(form, setting), autograph=False)

    def run(layout):
        image = np.zeros((*layout.label.shape, 3), "float32")
        losses = step({"label": layout.label, "instance": layout.instance, "image": image})
        return {name: float(loss) for name, loss in losses.items()}

    return run


def gmac(setting: Setting, batch: int = 1) -> dict[str, float]:
    """Billions of multiply-adds of the dense generator: `main`, `modulation` and `labels`."""
    channels, hidden, taps = setting.num_labels + setting.use_instance, 128, 9
    nf = setting.filters
    height, width = (size // 32 for size in setting.size)
    positions = height * width * batch
    first = setting.z_dim or channels * taps
    counts = {"main": positions * first * 16 * nf, "modulation": 0, "labels": 0}
    inputs = 16 * nf
    for index, multiple in enumerate((16, 16, 16, 8, 4, 2, 1)):
        positions *= 4 if index == 1 or index > 2 else 1
        outputs = multiple * nf
        middle = min(inputs, outputs)
        counts["main"] += positions * taps * middle * (inputs + outputs)
        widths = [inputs, middle]
        if inputs != outputs:
            counts["main"] += positions * inputs * outputs
            widths.append(inputs)
        counts["modulation"] += positions * taps * hidden * 2 * sum(widths)
        counts["labels"] += positions * taps * hidden * channels * len(widths)
        inputs = outputs
    counts["main"] += positions * taps * inputs * 3
    return {name: round(count / 1e9, 2) for name, count in counts.items()}


def peak_rss(name: str, setting: Setting, layout: Layout, num_processes: int = 3) -> int:
    """Peak memory, in bytes, of a separate process that runs a case; 0 if it fails.

    Generators are loaded from a SavedModel, as in deployment, because making one takes memory that
    allocators keep. The order of operations varies from run to run, and the peak with it. For a
    generator this is therefore the median of several processes.

    Args:
        name: name of a case of `make_network`, or "train/FORM".
        setting: setting of the generator.
        layout: label map to run it on.
        num_processes: int >= 1, how many run a generator.
    """
    if name.startswith("train/"):
        return _in_process(_peak_of_training, name, setting, layout)
    with tempfile.TemporaryDirectory() as directory:
        _in_process(_save_case, name, setting, layout, directory)
        peaks = [_in_process(_peak_of_saved, layout, directory) for _ in range(num_processes)]
        return sorted(peaks)[num_processes // 2]


def _in_process(function, *args):
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, function, args))
    child.start()
    sender.close()
    try:
        return int(receiver.recv())
    except EOFError:
        return 0
    finally:
        child.join()


def _send(sender, function, args):
    sender.send(function(*args))


def _save_case(name, setting, layout, directory):
    import tensorflow as tf

    module = tf.Module()
    module.network = make_network(name, setting)
    module.run = make_case(module.network)
    module.run.get_concrete_function(layout.label, layout.instance)
    tf.saved_model.save(module, directory)
    return 0


def _peak_of_saved(layout, directory):
    import tensorflow as tf

    module = tf.saved_model.load(directory)
    return _peak_while(lambda: module.run(layout.label, layout.instance))


def _peak_of_training(name, setting, layout):
    run = training_case(name.split("/")[1], setting)
    return _peak_while(lambda: run(layout))


def _peak_while(run):
    # If the system can reset the peak, memory used until now does not count.
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    for _ in range(2):
        run()
    return _peak()


def _peak():
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
