"""Walking through JSON: what the decoder takes is taken, what it refuses is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.json_walk import LARGEST, JsonWalk, MisshapenError, Unreadable, elements, line

DECODER = json.JSONDecoder()


def walked(text: str) -> Any:
    """The text, walked through as deep as one goes by members."""
    walk = JsonWalk(text, DECODER)

    def value() -> Any:
        match walk.next():
            case "[":
                return [value() for _ in walk.members("[", "]")]
            case "{":
                return {walk.name(): value() for _ in walk.members("{", "}")}
        return walk.value()

    found = value()
    walk.end()
    return found


@pytest.mark.parametrize(
    "text", ["[]", "{}", " [ 1 , [ ] , { } ]\r\n", '{"a" : {"b":[1,{"c\\"":null}]},\t"d":"]"}', '"x"', "\n-1.5e3 "]
)
def test_what_is_json_is_walked_through(text: str) -> None:
    assert walked(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["", "[", "]", "[1", "[1,]", "[,1]", "[1 2]", "[1}", "{", '{"a"}', '{"a":}', '{"a":1,}', "{1:1}", "1 2", "[]]"],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        walked(text)
    with pytest.raises(ValueError, match=r".*"):
        json.loads(text)


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, LARGEST - 2, LARGEST - 1])
@pytest.mark.parametrize(
    "make",
    [lambda size: "x" * (size - 2), lambda size: 10 ** (min(size, 1100) - 1)],
    ids=["a string", "a number"],
)
def test_values_are_built_whole_wherever_they_end(size: int, make: Callable[[int], object]) -> None:
    values = [make(max(size, 2)), make(3), [], make(max(size, 2))] * 40
    assert elements(json.dumps({"a": values}).encode(), "a", DECODER, lambda _: None) == values


def test_one_value_is_no_larger_than_what_may_hold_others_up() -> None:
    large = "[" + "[]," * LARGEST + "[]]"
    with pytest.raises(MisshapenError, match=r"no value of at most 65,536 characters at character 10"):
        elements(f'{{"a": [5, {large}]}}'.encode(), "a", DECODER, lambda _: None)
    assert line(large.encode(), DECODER) == Unreadable("is not JSON of at most 65,536 characters")
    assert line(b"[", DECODER) == Unreadable("is not JSON")
    longest = "x" * (LARGEST - 2)
    assert line(json.dumps(longest).encode(), DECODER) == longest
