"""The load of the fleet's benchmark is what it says."""

from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.fleet.crowd import GOLD, OPTIONS, Crowd, challenge_keys, truth
from benchmarks.fleet.requests import Requests
from db.bodies import JSON, AnswerBody, decode

POSTS = 600


def bodies(path: Path) -> tuple[Crowd, list[list[AnswerBody]]]:
    crowd = Crowd(1, pool=400, respondents=2000)
    requests = Requests(path, host="localhost", target="/", key="secret", run="run0")
    requests.write(crowd, POSTS)
    whole = path.read_bytes()
    posts = [whole[start : start + requests.size] for start in range(0, len(whole), requests.size)]
    assert len({post.partition(b"Idempotency-Key: ")[2].partition(b"\r\n")[0] for post in posts}) == POSTS
    return crowd, [decode(post.partition(b"\r\n\r\n")[2], JSON) for post in posts]


def test_posts_are_those_of_a_gateway(tmp_path: Path) -> None:
    _, posts = bodies(tmp_path / "posts")

    for post in posts:
        assert set(Counter(answer.respondent for answer in post).values()) == {10}
        assert 50 <= len({answer.challenge for answer in post}) <= 100
        assert len({(answer.challenge, answer.respondent) for answer in post}) == 100
        assert {len(answer.challenge) for answer in post} == {len(answer.respondent) for answer in post} == {20}


def test_the_pool_rolls_and_a_tenth_is_gold(tmp_path: Path) -> None:
    crowd, posts = bodies(tmp_path / "posts")
    given = Counter(answer.challenge for post in posts for answer in post)
    opened = np.arange(max(len(given), 400))
    names = [bytes(key).decode() for key in challenge_keys(opened)]
    right = {name: OPTIONS[option] for name, option in zip(names, truth(opened).tolist(), strict=True)}
    gold = {bytes(key).decode() for key in challenge_keys(crowd.gold())}

    assert max(given.values()) == 10
    left = [given[name] for name in names[400:2000]]  # behind the first pool, before the last
    assert min(left) == 5
    assert abs(len(gold & set(given)) / len(given) - 1 / GOLD) < 0.01
    answers = [answer for post in posts for answer in post]
    assert (
        0.6
        < np.mean([right[answer.challenge] == answer.answer for answer in answers if answer.challenge in right])
        < 0.8
    )
