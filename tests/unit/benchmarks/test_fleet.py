"""The load of the fleet's benchmark is what it says."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fleet.crowd import GOLD, OPTIONS, Crowd, challenge_keys, truth
from benchmarks.fleet.processor import Processor
from benchmarks.fleet.requests import Requests
from benchmarks.fleet.run import Fates, Run, figures
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


SECONDS = 10.0
START = 1000.0


def run(status: list[int], *, grading: float = 0.5) -> Run:
    """A run of POSTs at equal distances, of which those that were accepted were graded so many seconds later."""
    scheduled = START + np.linspace(0, SECONDS, len(status), endpoint=False)
    accepted = np.array(status) == 202
    answered = np.array(status) != 0
    sent = {
        "start": START,
        "scheduled": scheduled,
        "replied": np.where(answered, scheduled + 0.01, np.nan),
        "status": np.array(status, dtype=np.int16),
    }
    fates = Fates(np.where(accepted, scheduled + grading, np.nan), np.arange(len(status)))
    return figures(sent, fates, Processor(dict, seconds=SECONDS), SECONDS, START + 2 * SECONDS)


def test_a_post_that_the_end_of_a_run_cuts_off_is_not_refused() -> None:
    whole, cut = run([202] * 1000), run([202] * 999 + [0])

    assert (whole.refused, whole.unanswered) == (0, 0)
    assert (cut.refused, cut.unanswered) == (0, 1)
    assert cut.flat
    assert cut.steady
    assert cut.offered == whole.offered
    assert cut.backlog_last >= whole.backlog_last - 0.1


def test_posts_for_which_no_connection_was_free_are_backlog() -> None:
    whole, cut = run([202] * 1000), run([202] * 700 + [0] * 300)

    assert cut.refused == 0
    assert cut.offered == whole.offered
    assert (
        cut.backlog_last > whole.backlog_last + 0.5 * 10_000
    )  # two seconds' worth wait for one on average, not for .5
    assert not cut.flat


@pytest.mark.parametrize("status", [429, 503, 500])
def test_any_other_reply_is_a_refusal(status: int) -> None:
    run_ = run([202] * 999 + [status])

    assert (run_.refused, run_.unanswered) == (1, 0)
    assert not run_.flat
    assert run_.backlog_last < 1.01 * run([202] * 1000).backlog_last
