import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from pipelines.prepare.read_ahead import ReadAhead
from pipelines.schema import ArgumentError, BadFileError
from pipelines.sources.builders.landscapes import LandscapeReader


class Picky(NamedTuple):
    """Draws landscapes, and finds every seventh bad. Tells which process did it."""

    drawing: LandscapeReader = LandscapeReader(0, 64, 64, 12)

    def __call__(self, item):
        if item % 7 == 3:
            raise BadFileError(f"{item}.png", "odd", "is odd", "leave it out")
        example = self.drawing(item)
        return example._replace(features={**example.features, "process": os.getpid()})


def ends(item):
    if item:
        os._exit(3)
    return item


def test_processes_read_the_same_in_the_same_order():
    items = range(5, 45)
    with ReadAhead(Picky(), 1) as alone:
        expected = list(alone(items))
    assert {e.features.pop("process") for e in expected if not isinstance(e, BadFileError)} == {
        os.getpid()
    }
    with ReadAhead(Picky(), 2, seconds_alone=0) as ahead:
        found = [*ahead(items[:1]), *ahead(items[1:10]), *ahead(items[10:])]
        # What nobody takes is no reason to wait.
        unread = ahead(range(10**6))
        next(unread)
    processes = [e.features.pop("process") for e in found if not isinstance(e, BadFileError)]
    assert len(set(processes[1:])) == 2
    assert os.getpid() not in processes[1:]
    assert list(map(str, found)) == list(map(str, expected))
    assert [type(e) for e in found] == [type(e) for e in expected]
    bad = found[5]
    assert (bad.path.name, bad.kind, bad.found) == ("10.png", "odd", "is odd")


def test_a_process_that_ends_is_an_error():
    with (
        ReadAhead(ends, 2, seconds_alone=0) as read,
        pytest.raises(ArgumentError, match=r"2 received, and one of these .* ended.*; give 1"),
    ):
        list(read(range(4)))


def test_other_processes_end_with_a_killed_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from pipelines.prepare.read_ahead import ReadAhead\n"
        "def slow(item):\n"
        "    time.sleep(item and 60)\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    with ReadAhead(slow, 2, seconds_alone=0) as read:\n"
        "        for process in read([0, 0, 0, 1, 1]):\n"
        "            print(process, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        pids = [int(process.stdout.readline()) for _ in range(3)]
        assert pids[0] == process.pid
        process.send_signal(signal.SIGKILL)
    # Linux ends the others within milliseconds; a busy machine takes longer.
    end = time.monotonic() + 30
    while any(map(alive, pids[1:])):
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid):
    try:
        # One that waits to be collected has no memory.
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
