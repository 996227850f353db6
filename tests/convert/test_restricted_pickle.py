import builtins
import collections
import io
import os
import pickle
import struct

import pytest

from spade_tf.convert.restricted_pickle import shown, unpickle


def load(data, constructors=None, **kwargs):
    return unpickle(io.BytesIO(data), constructors or {}, **kwargs)


class Reduces:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


PLAIN = {
    "text": "é",
    "bytes": b"\x00\xff",
    "numbers": [0, -1, 255, 65536, 2**40, -(2**70), 1.5],
    "constants": (None, True, False),
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    3: {"nested": {}},
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_agrees_with_pythons_unpickler_on_plain_data(protocol):
    data = pickle.dumps(PLAIN, protocol=protocol)
    assert load(data) == pickle.loads(data)


def test_keeps_shared_objects_shared():
    inner = [1]
    first, second = load(pickle.dumps((inner, inner), protocol=2))
    assert first is second


def test_leaves_the_stream_behind_the_pickle():
    stream = io.BytesIO(pickle.dumps(1, protocol=2) + b"rest")
    assert unpickle(stream, {}) == 1
    assert stream.read() == b"rest"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.system, "touch {}"), (builtins.eval, "open({!r}, 'w')"), (builtins.exec, "1")],
)
def test_refuses_a_call_by_its_name_and_does_not_run_it(tmp_path, protocol, function, argument):
    marker = tmp_path / "ran"
    data = pickle.dumps(Reduces(function, argument.format(str(marker))), protocol=protocol)
    name = rf"{function.__module__.replace('__builtin__', 'builtins')}\.{function.__name__}"
    if protocol < 3:  # Protocols before 3 write Python 2's name of the module.
        name = name.replace("builtins", "__builtin__")
    with pytest.raises(ValueError, match=name):
        load(data, {"collections.OrderedDict": dict})
    assert not marker.exists()


def test_does_not_import_what_it_is_asked_for():
    # Importing `antigravity` would open a browser; any import would be seen in sys.modules.
    import sys

    with pytest.raises(ValueError, match=r"antigravity\.fly"):
        load(b"\x80\x02cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules


def test_reaches_nothing_through_attributes_of_an_allowed_name():
    # Protocol 4 resolves dotted names; an allowed prefix allows nothing below it.
    data = b"\x80\x04\x8c\x0bcollections\x8c\x1eOrderedDict.__init__.__globals\x93."
    with pytest.raises(ValueError, match="not allowed and not run"):
        load(data, {"collections.OrderedDict": dict})


def test_calls_the_constructor_of_an_allowed_name():
    data = pickle.dumps(collections.OrderedDict(a=1), protocol=2)
    assert load(data, {"collections.OrderedDict": dict}) == {"a": 1}


def test_drops_the_attributes_of_a_dict():
    content = collections.OrderedDict(a=1)
    content._metadata = {"version": 1}
    result = load(pickle.dumps(content, protocol=2), {"collections.OrderedDict": dict})
    assert result == {"a": 1}
    assert type(result) is dict


def test_gives_the_state_to_an_object_that_takes_it():
    class Taker:
        def set_pickle_state(self, state):
            self.state = state

    assert load(b"\x80\x02cx\ny\n)RK\x05b.", {"x.y": Taker}).state == 5


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cx\ny\n}X\x01\x00\x00\x00aK\x01sb.",  # state for the allowed name itself
        b"\x80\x02K\x01)R.",  # a call of a number
        b"\x80\x02cx\ny\nK\x01R.",  # arguments that are no tuple
        b"\x80\x02K\x01\x87.",  # a tuple of three from a stack of one
        b"\x80\x02h\x05.",  # a memo that was never set
        b"\x80\x02e.",  # items for no list
        b"\x80\x02}K\x01K\x02K\x03\x87K\x01s.",  # a tuple as a key
        b"\x80\x02.",  # nothing
    ],
)
def test_refuses_what_no_pickler_writes(data):
    with pytest.raises(ValueError, match="damaged"):
        load(data, {"x.y": dict})


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "BINPERSID"),
        (b"\x80\x02Pabc\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02(cx\ny\no.", "OBJ"),
        (b"\x80\x02(ix\ny\n.", "INST"),
        (b"\x80\x02cx\ny\n)\x81.", "NEWOBJ"),
    ],
)
def test_names_an_operation_that_is_not_allowed(data, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        load(data, {"x.y": dict})


def test_a_lie_about_lengths_takes_no_memory():
    huge = struct.pack("<Q", 2**62)
    for data in (b"\x80\x04\x8e" + huge, b"\x80\x04\x8d" + huge, b"\x80\x04\x96" + huge):
        with pytest.raises(ValueError, match="damaged"):
            load(data)
    # A memo index of four billion would make Python's own unpickler reserve a table that long.
    assert load(b"\x80\x02K\x01r\xff\xff\xff\xff.") == 1


def test_a_key_that_takes_exponential_time_to_hash_is_refused():
    doubling = b"\x80\x02}" + b")" + b"q\x00h\x00\x86" * 64 + b"K\x01s."
    with pytest.raises(ValueError, match="damaged"):
        load(doubling)


def test_every_truncation_is_an_error():
    data = pickle.dumps(PLAIN, protocol=4)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="damaged"):
            load(data[:length])


def test_shown_is_short_and_on_one_line():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1000)) == 122
