"""Explanations from the fleet, through the API and the command line."""

import json
import math

import httpx
from sqlalchemy import Engine

from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
from tests.functional.test_grading import post
from tests.waiting import until


def test_a_verdict_is_explained(
    fleet: Fleet, api: httpx.Client, key: str, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    for batch in crowd:
        post(api, batch).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "400 graded answers")

    found = api.get("/projects/quiz/explanations/c4").raise_for_status().json()
    posterior = api.get("/projects/quiz/challenges/c4").json()["posterior"]
    terms = [found["prior"], *(each["contribution"] for each in found["answers"])]
    terms += [step["value"] for step in found["steps"]]
    odds = math.log(posterior[found["winner"]] / max(posterior[found["runner_up"]], 2.0**-33))
    assert abs(math.fsum(terms) - odds) < 1e-9
    assert (found["winner"], found["answer"], len(found["answers"])) == ("yes", "yes", 20)
    assert 1 <= len(found["fewest_answers"]) == len(found["fewest_respondents"]) < 20

    assert api.get("/projects/quiz/challenges/c4/explain").json()["answers"] == found["answers"]

    where = {"api_url": str(api.base_url).removesuffix("/v1/"), "api_key": key}
    printed = fleet.run("explain", "--project=quiz", "c4", "--json", **where)
    assert json.loads(printed.stdout)["winner"] == "yes", printed.stderr
    table = fleet.run("explain", "--project=quiz", "c4", **where).stdout
    assert all(word in table for word in ("yes against no", "r19", "prior", "total", "It would be another without"))
    refused = fleet.run("explain", "--project=quiz", "nothing", **where)
    assert (refused.returncode, refused.stderr.count("\n"), "(HTTP 404)" in refused.stderr) == (2, 1, True)
