import pytest

from pipelines.sources.wording import counted


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "error", "0 errors"),
        (1, "error", "1 error"),
        (2, "error", "2 errors"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
    ],
)
def test_one_is_singular(count, noun, said):
    assert counted(count, noun) == said
