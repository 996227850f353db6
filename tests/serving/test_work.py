import asyncio
import contextlib
import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from spade_tf.serving.dispatch import Dispatch, Target
from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.model.work import Work, available_memory, check_work, read_work
from spade_tf.serving.requests import Request, Spec, make_request

# 9 GMAC for a picture of 256x256, and 1 GiB and 2 KiB a pixel.
WORK = Work(9 / 65536, 1.0, {"serving_default": (1 << 30, 2048.0), "generate_styles": (0, 1.0)})
LIMITS = RequestLimits(max_gmac=100.0, max_memory=2 << 30)


def request(pixels, rows=1, signature="serving_default", key="label"):
    return Request(signature, {key: np.zeros([rows])}, None, rows, pixels)


def test_work_beyond_the_limit_is_refused():
    check_work(request(11 * 65536), WORK, LIMITS._replace(max_memory=None))
    with pytest.raises(BadRequestError, match="786432 pixels in all take 108 GMAC, and 100 are"):
        check_work(request(12 * 65536), WORK, LIMITS)
    with pytest.raises(BadRequestError, match="101 photographs in all take 101 GMAC"):
        check_work(request(0, 101, "encode_style", "image_bytes"), WORK, LIMITS)


def test_memory_beyond_the_limit_is_refused():
    check_work(request(1 << 19), WORK, LIMITS)
    with pytest.raises(BadRequestError, match=r"may take 2.0 GiB of memory, and this server has"):
        check_work(request((1 << 19) + 1), WORK, LIMITS)
    # Signatures that were measured have a line of their own, others that of serving_default.
    check_work(request((1 << 19) + 1, signature="generate_styles"), WORK, LIMITS)
    with pytest.raises(BadRequestError, match="GiB"):
        check_work(request((1 << 19) + 1, signature="generate_bytes"), WORK, LIMITS)


@pytest.mark.parametrize("changes", [{"num_threads": 2}, {"micro_batch": 2}])
def test_what_is_made_beside_it_takes_memory_too(changes):
    check_work(request(1 << 18), WORK, LIMITS._replace(**changes))
    with pytest.raises(BadRequestError, match="GiB"):
        check_work(request((1 << 18) + 1), WORK, LIMITS._replace(**changes))


def test_exports_that_do_not_say_are_served(tmp_path):
    assert read_work(tmp_path) is None
    check_work(request(1 << 40), None, LIMITS)


def test_what_an_export_says_is_read(tmp_path):
    content = {
        "gmac": {"picture": 9.0, "photograph": 1.0},
        "height": 256,
        "width": 256,
        "memory": {"serving_default": {"base": 5, "per_pixel": 2.5, "measured": [[1, 2]]}},
    }
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "work.json").write_text(json.dumps(content))
    assert read_work(tmp_path) == Work(9 / 65536, 1.0, {"serving_default": (5, 2.5)})


@pytest.mark.parametrize(("styles", "pixels"), [(None, 2 * 64), (3, 6 * 64)])
def test_requests_know_what_they_make(styles, pixels):
    specs = {"s": {"label": Spec("int32", (None, None, None))}}
    values = {"label": np.zeros([2, 8, 8], np.int32)}
    if styles is not None:
        specs["s"]["z"] = Spec("float32", (None, None, 4))
        values["z"] = np.zeros([2, styles, 4], np.float32)
    assert make_request("s", values, specs, RequestLimits()).pixels == pixels


class Servable(contextlib.nullcontext):
    """A model with `WORK` that answers every request."""

    number = 1
    predictor = SimpleNamespace(inputs={}, work=WORK)
    asked: ClassVar[list[Request]] = []

    def __enter__(self):
        return self

    @property
    def batcher(self):
        async def submit(asked):
            self.asked.append(asked)
            return {}

        return SimpleNamespace(submit=submit)


def test_no_front_passes_on_what_is_refused():
    """Every front asks by `Dispatch`: nothing beyond the limits reaches the queue."""
    servable = Servable()
    dispatch = Dispatch(
        SimpleNamespace(find=lambda *_: servable),
        None,
        LIMITS,
        SimpleNamespace(request=lambda front: contextlib.nullcontext()),
    )

    async def read(specs):
        return None

    def ask(pixels):
        target = Target("m")
        return asyncio.run(dispatch.predict("rest", target, read, lambda _: request(pixels)))

    assert ask(64)[1].version == 1
    for pixels in (12 * 65536, (1 << 19) + 1):
        with pytest.raises(BadRequestError):
            ask(pixels)
    assert [each.pixels for each in servable.asked] == [64]


def test_this_machine_has_memory():
    found = available_memory()
    assert found is None or found > 1 << 28
