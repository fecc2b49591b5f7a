"""The header Prefer: what counts, and that nothing else does harm."""

import time

import pytest

from api.preferences import wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 0),
        (["wait=5"], 5),
        (["respond-async, WAIT = 10"], 10),
        (['wait="7"; x=1'], 7),
        (["handling=lenient", "wait=3"], 3),
        (["wait=4, wait=9"], 4),
        (['x="a, wait=9", wait=2'], 2),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=soon, wait=5"], 0),
        (["await=5"], 0),
        (['wait="5'], 0),
        (['x="a, wait=2'], 0),
        (['wait=2, x="a, b'], 2),
        (['wait=2, x="a\\'], 2),
        (['x="a\\", wait=9", wait=2'], 2),
        (["wait=99999999999999"], 0),
        ([",,;=\"'"], 0),
    ],
)
def test_wait(headers: list[str], seconds: int) -> None:
    assert wait(headers) == seconds


@pytest.mark.parametrize(
    "unended",
    ['"' + '\\"' * 200_000, '"\\' * 200_000, 'x="' * 200_001, "wait" + " " * 400_000],
    ids=["escaped quotes", "quotes escaped", "quotes", "spaces"],
)
def test_a_long_header_takes_no_longer_than_it_is_long(unended: str) -> None:
    begun = time.process_time()
    assert wait([unended]) == 0
    assert time.process_time() - begun < 1
