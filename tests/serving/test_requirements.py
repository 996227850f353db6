import pytest

from spade_tf.serving.errors import ServingError
from spade_tf.serving.requirements import require


def test_a_package_that_is_not_installed_names_the_extra():
    with pytest.raises(ServingError, match=r"^serve: nosuchpackage is not .*'spade-tf\[serve\]'$"):
        require("nosuchpackage", "serve")
