import sys

import pytest

from spade_tf.serving.errors import ServingError
from spade_tf.serving.requirements import require


def test_a_package_that_is_not_installed_names_the_extra():
    with pytest.raises(ServingError, match=r"^serve: nosuchpackage is not .*'spade-tf\[serve\]'$"):
        require("nosuchpackage", "serve")


def test_packages_do_not_see_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "curious.py").write_text("import sys\nseen = list(sys.argv)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "serve", "--model=x"])
    require("curious", "serve")
    assert sys.modules.pop("curious").seen == ["run.py"]
    assert sys.argv == ["run.py", "serve", "--model=x"]
