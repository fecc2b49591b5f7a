"""Walking through JSON: what the decoder takes is taken, what it refuses is refused."""

import json
from typing import Any

import pytest

from api.json_walk import JsonWalk


def walked(text: str) -> Any:
    """The text, walked through as deep as one goes by members."""
    walk = JsonWalk(text, json.JSONDecoder())

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
