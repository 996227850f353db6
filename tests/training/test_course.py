import pytest

from spade_tf.training.checkpoints import CheckpointError
from spade_tf.training.course import Course, Stretch


def test_examples_add_up_over_batch_sizes(tmp_path):
    course = Course(tmp_path, batch_size=4)
    assert course.at(10) == Stretch(10, 40, 4, 1.0)
    course.go_on(0, 4, 1.0)
    course.go_on(10, 6, 1.0)
    course.go_on(15, 6, 0.5)
    # The file gives the batch size of finished steps, whatever the next run uses.
    again = Course(tmp_path, batch_size=99)
    assert again.at(3) == Stretch(3, 12, 4, 1.0)
    assert again.at(12) == Stretch(12, 52, 6, 1.0)
    assert again.at(17) == Stretch(17, 82, 6, 0.5)
    # After a return to an older checkpoint, later entries are dropped.
    again.go_on(12, 2, 0.25)
    assert Course(tmp_path, 99).at(17) == Stretch(17, 62, 2, 0.25)


def test_going_on_alike_adds_nothing(tmp_path):
    course = Course(tmp_path, batch_size=4)
    for step in (0, 5, 10):
        course.go_on(step, 4, 1.0)
    assert Course(tmp_path, 99).stretches == [Stretch(0, 0, 4, 1.0)]
    assert [path.name for path in tmp_path.iterdir()] == ["course.json"]


@pytest.mark.parametrize("text", ["", "[]", "[1]", '[{"step": 0}]', "{}"])
def test_a_damaged_file_is_named(text, tmp_path):
    (tmp_path / "course.json").write_text(text)
    with pytest.raises(
        CheckpointError, match=r"course.json: cannot be read .*; remove it"
    ) as error:
        Course(tmp_path, 4)
    assert "\n" not in str(error.value)
