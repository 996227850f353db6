import json
from types import SimpleNamespace

import pytest
import served_networks
import yaml
from served_networks import SIZE, Z_DIM

from spade_tf.export.checks import Limits
from spade_tf.export.memory import (
    Memory,
    line_above,
    measure_memory,
    noise_size,
    picture_memory,
    said_of_memory,
)
from spade_tf.export.serving_config import write_serving_config
from spade_tf.export.source_files import SourceFiles
from spade_tf.export.work import Work, count_work, write_work
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator


def limits(fixed_size=None, max_pixels=1 << 20):
    return Limits(5, None, 32, 32, fixed_size, max_pixels)


def test_work_of_a_spade_generator_by_hand():
    """Every convolution of figure 4 of the paper, counted apart: 1 filter, hidden 2, 64x64."""
    narrow = Conditioning(hidden_filters=2)
    network = SPADEGenerator(3, (64, 64), filters=1, spectral_norm=False, conditioning=narrow)
    expected, inputs = 2 * 2 * 9 * 3 * 16, 16
    sides = (2, 4, 4, 8, 16, 32, 64)
    for side, outputs in zip(sides, (16, 16, 16, 8, 4, 2, 1), strict=True):
        middle = min(inputs, outputs)
        kernels = 9 * middle * (inputs + outputs)
        normalized = [inputs, middle]
        if inputs != outputs:
            kernels += inputs * outputs
            normalized.append(inputs)
        kernels += sum(9 * 3 * 2 + 9 * 2 * 2 * width for width in normalized)
        expected += side * side * kernels
        inputs = outputs
    expected += 64 * 64 * 9 * 3
    work = count_work(network)
    assert (work.height, work.width, work.photograph) == (64, 64, 0)
    assert work.picture * 1e9 == pytest.approx(expected, rel=1e-9)


def test_work_of_a_transposed_convolution_by_hand():
    """Each input pixel is multiplied with the whole kernel."""
    network = Pix2PixHDGenerator(
        3, (16, 16), filters=2, num_downsamplings=1, num_blocks=0, conditioning="none"
    )
    first, down = 16 * 16 * 49 * 3 * 2, 8 * 8 * 9 * 2 * 4
    up, last = 8 * 8 * 9 * 4 * 2, 16 * 16 * 49 * 2 * 3
    assert count_work(network).picture * 1e9 == pytest.approx(first + down + up + last, rel=1e-9)


def test_work_of_an_encoder_is_counted():
    work = count_work(served_networks.spade_with_styles(), served_networks.encoder())
    assert 0 < work.photograph < work.picture


def test_no_measured_peak_is_above_its_line():
    peaks = [(100, 1000), (200, 1900), (300, 2200)]
    bound = line_above(peaks)
    assert all(bound.bytes_of(pixels) >= size for pixels, size in peaks)
    # 6 bytes a pixel, lifted over the second, and 15 % more.
    assert bound.per_pixel == pytest.approx(6 * 1.15)
    assert bound.base == round((1900 - 6 * 200) * 1.15)
    assert line_above([(1, 500), (2, 400)]).per_pixel == 0


def test_sizes_of_the_noise():
    assert noise_size((64, 64), limits()) == (3, 64, 64)
    assert noise_size((256, 256), limits()) == (3, 256, 256)
    # Halved, where other sizes can be made; else as few as make a line.
    assert noise_size((1024, 2048), limits()) == (2, 256, 512)
    assert noise_size((1024, 2048), limits((1024, 2048))) == (2, 1024, 2048)


def test_what_is_extrapolated_is_said_to_be():
    bounds = {"serving_default": Memory(1 << 30, 1024.0, ((64, 1 << 29), (192, 3 << 29)))}
    said = said_of_memory(bounds, limits())
    assert "1.50 GiB measured at 192 pixels" in said
    assert "extrapolated, 2.00 GiB for the most that are made of one map (1048576 pixels" in said
    assert "not measured" in said_of_memory({}, limits())


def test_the_largest_picture_is_what_a_replica_needs():
    bounds = {
        "serving_default": Memory(1000, 2.0, ()),
        "generate_styles": Memory(1000, 0.5, ()),
    }
    assert picture_memory(bounds, limits()) == 1000 + 2 * (1 << 20)
    fixed = limits((64, 64), 1 << 14)
    # One picture of 64x64, or four styles of it.
    assert picture_memory(bounds, fixed) == max(1000 + 2 * 64 * 64, 1000 + (1 << 14) // 2)
    assert picture_memory({}, limits()) is None


@pytest.mark.parametrize(("needed", "mib"), [(1, 256), (257 << 20, 512), (3 << 30, 3072)])
def test_manifests_ask_for_what_was_measured(tmp_path, needed, mib):
    for number in ("2", "10"):
        size = needed if number == "10" else 1 << 40
        bounds = {"serving_default": Memory(size, 0.0, ())}
        (tmp_path / number).mkdir()
        write_work(tmp_path / number, Work(64, 64, 1.0, 0.0), bounds, limits())
    target = write_serving_config(tmp_path, model_name="m")
    service = yaml.safe_load((target / "docker-compose.yml").read_text())["services"]["serving"]
    assert service["mem_limit"] == f"{mib}m"
    deployment = next(yaml.safe_load_all((target / "kubernetes.yaml").read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == f"{mib}Mi"


def test_an_export_says_what_its_pictures_take(version):
    content = json.loads((version / "assets.extra" / "work.json").read_text())
    assert (content["height"], content["width"]) == (SIZE, SIZE)
    assert content["gmac"]["picture"] > content["gmac"]["photograph"] > 0
    # Not measured, because it was not requested.
    assert content["memory"] == {}
    assert content["largest_picture_bytes"] is None


@pytest.mark.slow
def test_a_measured_bound_holds(version):
    """In a process of its own, on noise."""
    fixed = Limits(5, 255, 32, 32, (SIZE, SIZE), 1 << 20)
    model = SimpleNamespace(
        limits=fixed,
        image_size=(SIZE, SIZE),
        use_instance_edges=True,
        z_dim=Z_DIM,
        source_files=SourceFiles(),
    )
    bounds = measure_memory(version, model)
    if not bounds:
        pytest.skip("this operating system does not tell what a process takes")
    assert set(bounds) == {"serving_default", "generate_styles"}
    for bound in bounds.values():
        assert [pixels for pixels, _ in bound.measured] == [SIZE**2, 3 * SIZE**2]
        # TensorFlow alone takes 200 MiB.
        assert all(size > 200 << 20 for _, size in bound.measured)
        assert all(bound.bytes_of(pixels) >= size for pixels, size in bound.measured)
    # Of one process, once for both.
    assert bounds["serving_default"].measured[0] == bounds["generate_styles"].measured[0]
