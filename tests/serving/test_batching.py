import asyncio
import threading

import numpy as np
import pytest

from spade_tf.serving.errors import BadRequestError, OverloadedError
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.requests import Request


class Model:
    """Doubles what it is given, and refuses batches with a negative number in them."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()

    def __call__(self, signature, inputs):
        assert self.go.wait(30)
        self.batches.append((signature, inputs["x"].tolist()))
        if (inputs["x"] < 0).any():
            raise BadRequestError("negative")
        return {"y": 2 * inputs["x"]}


def request(*values, signature="s"):
    return Request(signature, {"x": np.array(values)}, (signature, ()), len(values))


def run(model, requests, **options):
    """Answers, or errors, of requests that are all made before the first is answered."""

    async def main():
        batcher = MicroBatcher(model, num_threads=1, **{"max_queue": 99, **options})
        tasks = [asyncio.create_task(batcher.submit(item)) for item in requests]
        await asyncio.sleep(0.05)
        model.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return [
        answer["y"].tolist() if isinstance(answer, dict) else answer
        for answer in asyncio.run(main())
    ]


def test_what_queues_up_is_made_together():
    model = Model()
    requests = [request(1), request(2), request(3, 4), request(5), request(6, 7)]
    assert run(model, requests, max_rows=4) == [[2], [4], [6, 8], [10], [12, 14]]
    # All were there before a thread was free for the first; 6 and 7 would be rows 5 and 6.
    assert model.batches == [("s", [1, 2, 3, 4]), ("s", [5, 6, 7])]


def test_one_by_one_with_one_row():
    model = Model()
    assert run(model, [request(1), request(2, 3), request(4)], max_rows=1) == [[2], [4, 6], [8]]
    assert [values for _, values in model.batches] == [[1], [2, 3], [4]]


def test_other_signatures_and_shapes_are_not_mixed():
    model = Model()
    requests = [request(1), request(2, signature="t"), request(3)]
    assert run(model, requests, max_rows=8) == [[2], [4], [6]]
    assert model.batches == [("s", [1, 3]), ("t", [2])]


def test_a_bad_request_spoils_no_other():
    model = Model()
    first, bad, last = run(model, [request(1), request(-1), request(3)], max_rows=8)
    assert (first, last) == ([2], [6])
    assert isinstance(bad, BadRequestError)


def test_any_error_of_the_model_reaches_who_waits():
    def broken(signature, inputs):
        raise RuntimeError("out of memory")

    async def main():
        batcher = MicroBatcher(broken, max_rows=4, num_threads=1, max_queue=9)
        with pytest.raises(RuntimeError, match="out of memory"):
            await batcher.submit(request(1))

    asyncio.run(main())


def test_more_than_can_wait_are_turned_away():
    model = Model()
    answers = run(model, [request(number) for number in range(5)], max_rows=1, max_queue=3)
    turned_away = [answer for answer in answers if isinstance(answer, OverloadedError)]
    assert len(turned_away) == 2
    assert "3 requests are waiting" in str(turned_away[0])
    assert answers[:3] == [[0], [2], [4]]


def test_those_who_leave_are_not_waited_for():
    model = Model()

    async def main():
        batcher = MicroBatcher(model, max_rows=1, num_threads=1, max_queue=9)
        tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(3)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.sleep(0)
        model.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, gone, last = asyncio.run(main())
    assert isinstance(gone, asyncio.CancelledError)
    assert (first["y"].tolist(), last["y"].tolist()) == ([0], [4])
    assert [values for _, values in model.batches] == [[0], [2]]


def test_a_request_right_after_an_answer_is_made():
    """Asked before the event loop has anything else to do, such as tidying up."""
    model = Model()
    model.go.set()

    async def main():
        batcher = MicroBatcher(model, max_rows=1, num_threads=1, max_queue=9)
        made = []
        for value in range(3):
            answer = await asyncio.wait_for(batcher.submit(request(value)), 30)
            made.append(answer["y"].tolist())
        assert batcher.waiting == 0
        batcher.close()
        return made

    assert asyncio.run(main()) == [[0], [2], [4]]
