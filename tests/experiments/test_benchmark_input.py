import io
import json

import numpy as np
from PIL import Image

from experiments.commands.benchmark.input import benchmark_input
from pipelines.prepare.prepare import prepare


def test_a_line_for_each_kind(tmp_path):
    rng = np.random.default_rng(0)
    for kind, high, shape in (("img", 256, (20, 24, 3)), ("label", 5, (20, 24))):
        (tmp_path / f"train_{kind}").mkdir()
        for i in range(3):
            suffix = "jpg" if kind == "img" else "png"
            pixels = rng.integers(0, high, shape).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"train_{kind}" / f"{i}.{suffix}")
    prepare("paired_folder", source_dir=tmp_path, data_dir=tmp_path / "data", num_classes=5)
    output = io.StringIO()
    lines = benchmark_input(
        data_dir=tmp_path / "data",
        load_size=18,
        crop_size=16,
        batch_size=2,
        num_batches=2,
        num_rounds=1,
        output=output,
    )
    assert [json.loads(line) for line in output.getvalue().splitlines()] == lines
    assert [line["kind"] for line in lines] == ["pipeline", "jpeg_decode", "pillow_loop"]
    assert lines[2]["ratio_to_pillow_loop"] == 1
    for line in lines:
        assert line["lowest"] <= line["images_per_second"] <= line["highest"]
        assert line["images_per_round"] == 4
