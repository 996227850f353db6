"""Runs small generators of every kind on LiteRT's GPU accelerator, and compares with Keras.

    python tests/proofs/gpu_delegate.py

The GPU is SwiftShader, Google's Vulkan driver for processors, from Debian's package of Chromium.
apt-get fetches it (32 MB) into a cache folder; nothing is installed. For float16 models, Keras's
weights are rounded to float16 too, so that only differences of the GPU remain (the export itself
checks the effect of rounding). Exits with 1 if a model is not fully accelerated or differs by more
than 1e-3, and with 3 if SwiftShader is not available.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FILES = ("libvk_swiftshader.so", "libvulkan.so.1", "vk_swiftshader_icd.json")
# Its place depends on the version.
PACKAGES = ("chromium-common", "chromium")
BOUND = 1e-3
NO_SWIFTSHADER = 3
NAMES = (
    "spade_with_edges_and_style",
    "spade_with_class_styles",
    "spade_instance_norm",
    "spade_bilinear_reflect",
    "spade_bilinear_replicate",
    "spade_noise_inputs",
    "clade",
    "shared_spade",
    "conditional_batch",
    "adain",
    "concat",
    "pix2pixhd",
    "pix2pixhd_spade",
)


# The converter multiplies their scales into kernels before it rounds.
ONLY_FLOAT32 = ("concat",)


class NoSwiftShaderError(RuntimeError):
    """SwiftShader is not available; the message is one line."""


def cache_folder() -> Path:
    """Folder for fetched files, outside of the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spade-tf"


def fetch_packages(names, folder: Path) -> None:
    """Unpacks Debian packages into a folder."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoSwiftShaderError("no apt-get here: SwiftShader comes from Debian's Chromium")
    with tempfile.TemporaryDirectory() as scratch:
        # apt-get downloads as another user if there is one. This user must be able to write there.
        os.chmod(scratch, 0o777)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", *names]):
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
            # Only root can update the lists. The present ones may suffice.
            if done.returncode and command[1] == "download":
                reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise NoSwiftShaderError(f"{' '.join(command)}: {reason}")
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)


def swiftshader() -> dict[str, str]:
    """Environment variables that point to SwiftShader. It is fetched if necessary."""
    folder = cache_folder() / "swiftshader"
    if not all((folder / name).exists() for name in FILES):
        for package in PACKAGES:
            with tempfile.TemporaryDirectory() as scratch:
                fetch_packages([package], Path(scratch))
                found = {path.name: path for path in Path(scratch).rglob("*") if path.name in FILES}
                if len(found) == len(FILES):
                    folder.mkdir(parents=True, exist_ok=True)
                    for name, path in found.items():
                        shutil.copyfile(path, folder / f"{name}.part")
                        os.replace(folder / f"{name}.part", folder / name)
                    break
        else:
            raise NoSwiftShaderError(f"no {FILES[0]} in {' or '.join(PACKAGES)} of this Debian")
    libraries = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "VK_ICD_FILENAMES": str(folder / FILES[2]),
    }


def round_weights(generator) -> None:
    """Rounds the weights to float16 that the converter rounds."""
    for weight in generator.variables:
        # The converter first adds the 1 of `1 + gamma` to the bias.
        one = 1.0 if weight.path.endswith("gamma/bias") else 0.0
        rounded = (weight.numpy() + one).astype("float16").astype("float32")
        weight.assign(rounded - one)


def main() -> int:
    """Checks `NAMES`, and prints a line for each."""
    try:
        environment = swiftshader()
    except NoSwiftShaderError as error:
        print(f"gpu delegate: not run ({error})", file=sys.stderr)
        return NO_SWIFTSHADER

    from edge_networks import make_encoder, make_generator, make_layouts, make_photographs

    from spade_tf.export.litert.edge_form import edge_form
    from spade_tf.export.litert.functions import edge_functions, edge_inputs, encoder_function

    results = []
    for name in NAMES:
        edge = edge_form(make_generator(name))
        function = edge_functions(edge)[0]
        inputs = edge_inputs(edge, make_layouts(edge, 2))
        results.append(check(f"{name} float32", function, inputs, "float32", environment))
        if name not in ONLY_FLOAT32:
            round_weights(edge)
            # A function keeps the weights of its first conversion.
            function = edge_functions(edge)[0]
            results.append(check(f"{name} float16", function, inputs, "float16", environment))
    encoder = make_encoder()
    function, inputs = encoder_function(encoder), make_photographs(encoder, 2)
    results.append(check("encoder float32", function, inputs, "float32", environment))
    return 0 if all(results) else 1


def check(name, function, inputs, quantization, environment) -> bool:
    """Whether a model runs entirely on the GPU and agrees with Keras. Prints a line."""
    import numpy as np

    from spade_tf.export.litert.gpu import GPUError, run_on_gpu
    from spade_tf.export.litert.model import LiteRTModel

    start = time.perf_counter()
    (output,) = function.call(**{n: inputs[0][n] for n in function.inputs})
    expected = [function.call(**{n: x[n] for n in function.inputs})[output] for x in inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(function.convert(quantization))
        given = list(map(LiteRTModel(path.read_bytes()).given, inputs))
        try:
            run = run_on_gpu(path, given, environment=environment)
        except GPUError as error:
            print(f"{name}: {error} FAILED", flush=True)
            return False
    difference = float(np.max(np.abs(run.outputs - np.concatenate(expected))))
    passes = run.fully_accelerated and difference <= BOUND
    print(
        f"{name}: fully accelerated {run.fully_accelerated}, at most {difference:.1e} from Keras, "
        f"{time.perf_counter() - start:.1f} s{'' if passes else ' FAILED'}",
        flush=True,
    )
    return passes


if __name__ == "__main__":
    sys.exit(main())
