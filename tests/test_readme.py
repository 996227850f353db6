"""The lines of Python in README work as they stand, on two devices and from another process."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
@pytest.mark.distributed
def test_the_lines_train_on_two_devices_and_another_process_loads_the_model(
    tmp_path, monkeypatch, two_replicas
):
    (lines,) = re.findall(r"<!-- python -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in lines.splitlines() if line]) == 10
    done = {}
    with two_replicas.scope():
        exec(lines, done)
    model = done["model"]
    assert model.distribute_strategy.num_replicas_in_sync == 2
    losses = model.history.history
    assert {len(values) for values in losses.values()} == {2}
    assert all(np.isfinite(values).all() for values in losses.values())
    assert int(model.step.numpy()) == 4
    assert int(model.generator_optimizer.iterations.numpy()) == 4
    pictures = done["pictures"]
    assert pictures.shape == (8, 64, 64, 3)
    # The loaded model is the trained one.
    np.testing.assert_allclose(pictures, model.predict(done["labels"], verbose=0), atol=1e-5)
    np.save("labels.npy", done["labels"])
    code = (
        "import spade_tf\n"
        "labels = __import__('numpy').load('labels.npy')\n"
        "model = spade_tf.load_model('landscapes.keras')\n"
        "__import__('numpy').save('pictures.npy', model.predict(labels, verbose=0))\n"
        "assert int(model.discriminator_optimizer.iterations.numpy()) == 4\n"
    )
    environment = {"PYTHONPATH": str(README.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    np.testing.assert_allclose(np.load("pictures.npy"), pictures, atol=1e-5)
