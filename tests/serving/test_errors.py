import pytest

from spade_tf.serving.errors import sentence


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Invalid PNG data, size 340\n\t [[{{node DecodePng}}]]", "PNG"),
        ("Invalid PNG. Failed to initialize decoder.", "PNG"),
        ("Invalid JPEG data, size 100", "JPEG"),
        ("jpeg::Uncompress failed. Invalid JPEG data or crop window.", "JPEG"),
    ],
)
def test_what_decoders_say_of_damaged_files(text, kind):
    assert sentence(text) == f"a {kind} file is truncated or damaged; send it whole"
