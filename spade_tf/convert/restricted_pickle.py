"""A pickle interpreter that can run nothing.

A pickle is a program that may import and call anything. This interpreter of it knows containers,
numbers and text; every name it is asked for must be in a table of stand-ins given by the caller.
It imports nothing and calls nothing else. (Python's own unpickler with a `find_class` of ours would
still act on the real classes, and take any amount of memory for a memo index it is told.)
"""

import pickletools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

__all__ = ["PickleGlobal", "shown", "unpickle"]


class PickleGlobal(NamedTuple):
    """An allowed name in a pickle, and what stands for it."""

    name: str
    constructor: Callable[..., Any]


_LITERALS = frozenset(
    (
        *("NONE", "NEWTRUE", "NEWFALSE"),
        *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_SHORT_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def unpickle(
    stream: IO[bytes],
    constructors: Mapping[str, Callable[..., Any]],
    *,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle that can build nothing but containers and what `constructors` makes.

    Args:
        stream: stands at the start of the pickle, and is left behind its end.
        constructors: what each allowed global, as `"module.name"`, stands for. The constructor is
            called with arguments straight from the file, so it must check them. The name itself
            is never imported.
            What it returns may define `set_pickle_state(state)`, for the state a pickle gives to
            an object after making it; the state (the attributes) of a dict is dropped.
        persistent_load: turns a persistent id into an object; without it such ids are refused.

    Returns:
        The object: dict, list, tuple, str, bytes, int, float, bool, None, or a constructor's.

    Raises:
        ValueError: if the pickle is damaged, or asks for any other global (named in the message).
    """
    try:
        with warnings.catch_warnings():
            # pickletools warns of odd escapes in a damaged name; the error that follows says more.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _run(stream, constructors, persistent_load)
    except (IndexError, KeyError, TypeError, OverflowError) as error:
        # Only a pickle that no pickler writes takes from an empty stack or an unset memo.
        raise ValueError("the pickle inside is damaged") from error


def _run(
    stream: IO[bytes],
    constructors: Mapping[str, Callable[..., Any]],
    persistent_load: Callable[[Any], Any] | None,
) -> Any:
    stack: list[Any] = []
    outer_stacks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    for name, argument in _operations(stream):
        if name in _LITERALS:
            stack.append(_CONSTANTS.get(name, argument))
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "STOP":
            return stack.pop()
        elif name == "MARK":
            outer_stacks.append(stack)
            stack = []
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif name in _SHORT_TUPLES:
            split = len(stack) - _SHORT_TUPLES[name]
            if split < 0:
                raise IndexError
            stack[split:] = [tuple(stack[split:])]
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in ("TUPLE", "APPENDS", "SETITEMS"):
            items, stack = stack, outer_stacks.pop()
            _collect(name, items, stack)
        elif name == "APPEND":
            item = stack.pop()
            _expect(stack[-1], list).append(item)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _set_items(stack[-1], [key, value])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "GLOBAL":
                module, _, attribute = argument.partition(" ")
            else:
                attribute, module = _expect(stack.pop(), str), _expect(stack.pop(), str)
            stack.append(_allowed(f"{module}.{attribute}", constructors))
        elif name == "REDUCE":
            arguments = _expect(stack.pop(), tuple)
            stack.append(_called(_expect(stack.pop(), PickleGlobal), arguments))
        elif name == "BUILD":
            _set_state(stack[-2], stack.pop())
        elif name == "BINPERSID" and persistent_load is not None:
            stack.append(persistent_load(stack.pop()))
        else:
            raise ValueError(f"uses the pickle operation {name}, which is not allowed")
    raise ValueError("the pickle inside has no end")


def _collect(name: str, items: list[Any], stack: list[Any]) -> None:
    """Puts the items since a mark into a tuple, or into the list or dict on the stack."""
    if name == "TUPLE":
        stack.append(tuple(items))
    elif name == "APPENDS":
        _expect(stack[-1], list).extend(items)
    else:
        _set_items(stack[-1], items)


def _allowed(name: str, constructors: Mapping[str, Callable[..., Any]]) -> PickleGlobal:
    if name not in constructors:
        raise ValueError(f"asks for {shown(name)}, which is not allowed and not run")
    return PickleGlobal(name, constructors[name])


def _called(function: PickleGlobal, arguments: tuple[Any, ...]) -> Any:
    try:
        return function.constructor(*arguments)
    except TypeError as error:
        raise ValueError(f"gives wrong arguments to {function.name}") from error


def _operations(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    try:
        # pickletools reads opcodes and their arguments; it builds and imports nothing.
        for opcode, argument, _ in pickletools.genops(stream):
            yield opcode.name, argument
    except ValueError as error:
        raise ValueError(f"the pickle inside is damaged: {error}") from error


def _expect(value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"no {type(value).__name__} belongs here")
    return value


def _set_state(target: Any, state: Any) -> None:
    if hasattr(target, "set_pickle_state"):
        target.set_pickle_state(state)
    else:
        _expect(target, dict)


def _set_items(target: Any, items: list[Any]) -> None:
    _expect(target, dict)
    keys = items[::2]
    # A key of nested tuples could take exponential time to hash.
    if len(items) % 2 or not all(isinstance(key, str | int) for key in keys):
        raise TypeError("a dict needs pairs with text or numbers as keys")
    target.update(zip(keys, items[1::2], strict=True))


def shown(text: str) -> str:
    """A name from a file as a message can hold it: quoted, on one line, not too long."""
    return repr(text if len(text) <= 120 else text[:117] + "...")
