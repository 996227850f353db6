import signal
import subprocess
import sys
from pathlib import Path

from experiments.commands.export.staging import staging_folder

ROOT = Path(__file__).parents[2]


def test_what_killed_exports_left_is_removed(tmp_path, capsys):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from experiments.commands.export.staging import staging_folder\n"
        "with staging_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').mkdir()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    (killed,) = tmp_path.iterdir()
    old = tmp_path / ".staged-of_an_earlier_release"
    old.mkdir()
    with staging_folder(tmp_path) as at_work:
        assert not killed.exists()
        with staging_folder(tmp_path) as another:
            assert at_work.exists()
            assert another != at_work
    assert list(tmp_path.iterdir()) == [old]
    assert f"{old}: left by an export, it seems, and not removed" in capsys.readouterr().err
