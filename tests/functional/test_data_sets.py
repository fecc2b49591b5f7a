"""Real answers of real people through the whole stack. Skipped where the public data sets are absent."""

import csv
import json
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from config.settings import Settings
from tests.functional import books
from tests.functional.fleet import Fleet
from tests.waiting import until

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not here")]

Verdict = tuple[str, str, float, tuple[tuple[str, float], ...]]


def final_content(api: httpx.Client, project: str) -> list[Verdict]:
    """Challenge, answer, confidence and posterior of every verdict of a project; every bit of the numbers."""
    lines = api.get(f"/projects/{project}/verdicts", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    verdicts = [json.loads(line) for line in lines]
    assert all(verdict["final"] for verdict in verdicts)
    return [(v["challenge"], v["answer"], v["confidence"], tuple(sorted(v["posterior"].items()))) for v in verdicts]


def refit(api: httpx.Client, project: str) -> None:
    """Ask for a refit and wait until it is published."""
    location = api.post(f"/projects/{project}/model-runs").headers["Location"].removeprefix("/v1")
    until(lambda: api.get(location).json()["state"] == "done", "a published model run")


def test_two_shuffles_of_rte_have_the_same_final_verdicts_bit_for_bit(
    fleet: Fleet, api: httpx.Client, engine: Engine
) -> None:
    fleet.worker()
    fleet.worker("refit")
    with (DATA / "rte" / "answers.csv").open() as file:
        answers = [
            {"challenge": row["task"], "respondent": row["worker"], "answer": row["label"]}
            for row in csv.DictReader(file)
        ]
    contents = []
    for seed, project in enumerate(("one", "two")):
        api.post("/projects", json={"name": project, "classes": ["0", "1"], "repeats": "all"}).raise_for_status()
        random.Random(seed).shuffle(answers)
        for start in range(0, len(answers), 100):
            body = {"answers": answers[start : start + 100]}
            api.post(f"/projects/{project}/batches", json=body).raise_for_status()
        until(partial(books.everything_graded, engine, project), "8,000 graded answers")
        refit(api, project)
        contents.append(final_content(api, project))
    assert len(contents[0]) == 800
    assert contents[0] == contents[1]


def rows(name: str) -> list[dict[str, str]]:
    """A file of the set `product`."""
    with (DATA / "product" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def majority(answers: list[dict[str, str]], truth: dict[str, str]) -> float:
    """Accuracy of the plain vote, ties split."""
    votes: dict[str, Counter[str]] = {}
    for row in answers:
        votes.setdefault(row["task"], Counter())[row["label"]] += 1
    leading = {task: [label for label in count if count[label] == max(count.values())] for task, count in votes.items()}
    return sum((label in leading[task]) / len(leading[task]) for task, label in truth.items()) / len(truth)


def accuracy(api: httpx.Client, project: str, truth: dict[str, str]) -> float:
    """Of the verdicts as they are now, none of them final."""
    lines = api.get(f"/projects/{project}/verdicts", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    verdicts = [json.loads(line) for line in lines]
    assert not any(verdict["final"] for verdict in verdicts)
    answers = {verdict["challenge"]: verdict["answer"] for verdict in verdicts}
    return sum(answers[task] == label for task, label in truth.items()) / len(truth)


def test_product_through_submit(
    make_fleet: Callable[..., Fleet], fleet: Fleet, api: httpx.Client, engine: Engine, key: str, settings: Settings
) -> None:
    workers = make_fleet(lease=3, sweep_interval=0.5, retry_base=0.1, refit_minimum=10**6)
    workers.worker()
    workers.worker("refit")
    environment = ["submit", str(DATA / "product" / "answers.csv"), "--project", "product", "--wait", "--json"]
    api.post("/projects", json={"name": "product", "classes": ["0", "1"]}).raise_for_status()
    settings.home.mkdir(exist_ok=True)
    (settings.home / "api-key").write_text(key)

    done = fleet.run(*environment, api_url=str(api.base_url).removesuffix("/v1/"))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["answers"] == 24_945
    row = books.balance(engine, "product")
    assert row.accepted == row.graded + row.superseded == 24_945
    assert row.lost == 0
    assert books.twice(engine) == 0
    assert books.deviation(engine, 2) < 1e-6

    # No refit has been made: what the idle learn of the crowd is all that the verdicts have.
    truth = {row["task"]: row["label"] for row in rows("truth")}
    votes, whole = majority(rows("answers"), truth), 0.9336  # of a fit of the default model to all answers
    found = partial(accuracy, api, "product", truth)
    until(lambda: found() >= whole - 0.015, "live verdicts within 1.5 points of the fit", limit=150)
    assert found() >= votes
