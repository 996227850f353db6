from xml.etree import ElementTree

import pytest

from spade_tf.training.svg import element


@pytest.mark.parametrize("text", ['a < b & "c"', "", "γ"])
def test_any_text_is_one_well_formed_element(text):
    read = ElementTree.fromstring(element("text", text, class_='"<&', text_anchor="end", x=1 / 3))
    assert read.tag == "text"
    assert (read.text or "") == text
    assert read.attrib == {"class": '"<&', "text-anchor": "end", "x": "0.3"}
