"""What `serve` asks of the server, by its flags alone."""

import asyncio
import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.command_line.main import main
from experiments.commands.serve import sample_layouts
from pipelines.landscapes import CLASS_NAMES, render
from spade_tf.serving.dispatch import Dispatch, Target
from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.model.work import Work, available_memory
from spade_tf.serving.requests import Spec, make_request

SIDE = 2048
SPECS = {"serving_default": {"label": Spec("int32", (None, None, None))}}


@pytest.fixture
def arguments_of(tmp_path, monkeypatch):
    """What the server is asked for, given flags besides --model."""
    server = pytest.importorskip("spade_tf.serving.server")
    given = {}
    monkeypatch.setattr(server, "serve", lambda model, **arguments: given.update(arguments))
    # Enough for what is looked at before a server starts.
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()

    def arguments_of(*flags):
        assert main(["serve", f"--model={tmp_path}", *flags]) == 0
        return given

    return arguments_of


@pytest.fixture
def limits_of(arguments_of):
    """What the server is limited to, given flags besides --model."""
    return lambda *flags: arguments_of(*flags)["limits"]


def test_only_this_machine_is_answered_unless_told_otherwise(arguments_of):
    given = arguments_of()
    assert (given["host"], given["painter"].local) == ("127.0.0.1", True)
    given = arguments_of("--host=0.0.0.0")
    assert (given["host"], given["painter"].local) == ("0.0.0.0", False)
    assert arguments_of("--nopainter")["painter"] is None


@pytest.mark.parametrize(
    ("names", "size", "there"),
    [
        (CLASS_NAMES, (64, 128), True),
        (CLASS_NAMES, (64, 96), False),
        (CLASS_NAMES, (1024, 1024), False),
        (CLASS_NAMES[:-1], (64, 64), False),
    ],
)
def test_landscapes_have_sample_layouts(names, size, there):
    sampler = sample_layouts(list(names), *size)
    assert (sampler is not None) == there
    if sampler is not None:
        label = sampler(3)
        assert (label.shape, label.dtype) == (size, np.uint8)
        np.testing.assert_array_equal(label, render(3, 0, *size).label)


def test_every_limit_is_a_flag(limits_of):
    wanted = RequestLimits(3 << 20, 4.5, 5, 6, 7, 8.5, 9 << 20, 10, 11)
    mib = {"max_body_bytes": "max_body_mib", "max_memory": "max_memory_mib"}
    flags = {mib.get(name, name): value for name, value in wanted._asdict().items()}
    flags |= {name: flags[name] >> 20 for name in mib.values()}
    assert limits_of(*(f"--{name}={value}" for name, value in flags.items())) == wanted


def ask(limits, work, side):
    """Asks for a picture; what reached the model."""
    reached = []

    async def submit(request):
        reached.append(request)
        return {}

    servable = contextlib.nullcontext(
        SimpleNamespace(
            number=1,
            predictor=SimpleNamespace(inputs=SPECS, work=work),
            batcher=SimpleNamespace(submit=submit),
        )
    )
    versions = SimpleNamespace(find=lambda *_: servable)
    metrics = SimpleNamespace(request=lambda front: contextlib.nullcontext())
    dispatch = Dispatch(versions, None, limits, metrics)

    async def read(specs):
        label = np.zeros([1, side, side], np.int32)
        return make_request("serving_default", {"label": label}, specs, limits)

    answer = dispatch.predict("rest", Target("m"), read, lambda request: request)
    try:
        asyncio.run(answer)
    except BadRequestError as error:
        return reached, str(error)
    return reached, ""


def test_by_default_what_takes_too_much_is_refused_before_any_work(limits_of):
    """A picture of 2048x2048, which the default of --max_pixels just allows."""
    limits = limits_of()
    assert limits.max_pixels == SIDE * SIDE
    # The paper's generator for COCO-Stuff: 191 GMAC for 256x256.
    paper = Work(191 / 65536, 0.0, {})
    assert ask(limits, paper, 512)[1] == ""
    reached, said = ask(limits, paper, SIDE)
    assert not reached
    assert said.startswith("4194304 pixels in all take 12224 GMAC, and 2000 are computed at most")
    # Little work, but a byte more for each pixel than this machine has.
    assert limits.max_memory == available_memory()
    if limits.max_memory is None:
        pytest.skip("this operating system does not tell how much memory there is")
    per_pixel = limits.max_memory / SIDE**2 + 1
    small = Work(1e-9, 0.0, {"serving_default": (0.0, per_pixel)})
    assert ask(limits, small, SIDE // 2)[1] == ""
    reached, said = ask(limits, small, SIDE)
    assert not reached
    assert said.startswith("4194304 pixels in all may take")
