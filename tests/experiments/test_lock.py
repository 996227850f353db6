import multiprocessing

import pytest

from experiments.setup.config import ConfigError
from experiments.setup.lock import locked


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def fail(workdir, *names):
    def train():
        with locked(workdir):
            write(workdir, *names)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_failure_before_the_first_step_leaves_nothing(tmp_path):
    early = ["config.json", "checkpoints/course.json", "tensorboard/events"]
    fail(tmp_path / "runs" / "a", *early)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path):
    write(tmp_path, "runs/b/config.json", "runs/a/notes.txt", "runs/a/config.json")
    fail(tmp_path / "runs" / "a", "config.json", "checkpoints/course.json")
    assert names(tmp_path) == ["runs/a/config.json", "runs/a/notes.txt", "runs/b/config.json"]


def test_what_another_put_there_meanwhile_stays(tmp_path):
    fail(tmp_path / "runs" / "a", "config.json", "notes.txt")
    assert names(tmp_path) == ["runs/a/notes.txt"]


@pytest.mark.parametrize("written", [["losses.jsonl"], ["config.json", "checkpoints/step-1.index"]])
def test_a_training_that_has_begun_stays(written, tmp_path):
    fail(tmp_path / "a", "config.json", "tensorboard/events", *written)
    assert set(written) < set(names(tmp_path / "a"))
    assert "tensorboard/events" in names(tmp_path / "a")


def test_a_success_stays(tmp_path):
    with locked(tmp_path / "a"):
        write(tmp_path / "a", "config.json")
    assert "config.json" in names(tmp_path / "a")


def hold(workdir, holding, over):
    with locked(workdir):
        holding.set()
        over.wait(60)


def test_a_second_process_is_refused_and_removes_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    holding, over = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "a", holding, over))
    process.start()
    assert holding.wait(60)
    with (
        pytest.raises(ConfigError, match="another process is training there"),
        locked(tmp_path / "a"),
    ):
        raise AssertionError
    assert names(tmp_path / "a") == [".lock"]
    over.set()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("name", ["file", "file/in/it"])
def test_a_file_in_the_way_is_refused(name, tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"--workdir=.*cannot be written"),
        locked(tmp_path / name),
    ):
        raise AssertionError
    assert names(tmp_path) == ["file"]
