"""Explanations of stored verdicts: they add up, they name what would flip them, and they hide what verdicts hide."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import Engine, text

from consensus.answers import Answers
from consensus.fit import leading
from db import runs
from tests.integration.workers.crowd import Answer, accept, answer, crowd, drain, execute, gild, make_project, verdicts
from workers import explain, refit, regrade
from workers.explain import Case
from workers.runtime import Runtime
from workers.scheme import tensor


def grade(engine: Engine, runtime: Runtime, project: int, *answers: Answer) -> None:
    accept(engine, project, answers)
    assert drain(runtime, project) == []


def fit(engine: Engine, runtime: Runtime, project: int) -> None:
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)


def challenges(engine: Engine, project: int) -> dict[str, int]:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT key, id FROM challenges WHERE project_id = :p"), {"p": project})
        return {row.key: row.id for row in found}


def explained(runtime: Runtime, project: int, challenge: int, *, gold: bool = False) -> dict[str, Any]:
    found = explain.run(runtime, project, challenge, gold=gold)
    assert found is not None
    return found


def without(case: Case, dropped: list[bool]) -> str:
    """The class that wins without some of the answers, respondents as they are."""
    left = np.flatnonzero(~np.array(dropped) & (case.label >= 0))
    answers = Answers(
        torch.zeros(len(left), dtype=torch.int64),
        tensor(case.annotator[left], torch.device("cpu")),
        tensor(case.label[left], torch.device("cpu")),
        1,
        len(case.respondents),
        case.scheme.classes,
    )
    shown = case.scheme.model.publish(answers, case.statistics.seen, case.scheme.prior, form=case.scheme.form)
    return case.scheme.keys[int(leading(shown)[0].to(torch.int8).argmax())]


@pytest.mark.parametrize("model", ["touchstone", "dawid-skene", "majority"])
@pytest.mark.parametrize("final", [False, True])
def test_terms_add_up_and_the_named_sets_flip(engine: Engine, runtime: Runtime, model: str, final: bool) -> None:
    project = make_project(engine, "cab", model=model)
    grade(engine, runtime, project, *crowd(5))
    if final:
        fit(engine, runtime, project)
    shown = verdicts(engine, project)
    flipped = 0
    for key, challenge in challenges(engine, project).items():
        found = explained(runtime, project, challenge)
        said = sum(each["contribution"] for each in found["answers"])
        total = found["prior"] + said + sum(step["value"] for step in found["steps"])
        won, lost = (shown[key].posterior[found[name]] for name in ("winner", "runner_up"))
        odds = won - lost if found["scale"] == "share" else math.log(won / max(lost, 2.0**-33))
        assert abs(total - odds) < 1e-9
        assert abs(found["total"] - odds) < 1e-9
        assert (found["winner"], found["final"]) == (shown[key].answer, final)
        assert len(found["answers"]) == shown[key].answers

        case = explain.read(runtime, project, challenge)
        assert case is not None
        if found["fewest_answers"]:
            names = [{name: each[name] for name in ("respondent", "answer")} for each in found["answers"]]
            assert without(case, [name in found["fewest_answers"] for name in names]) != found["winner"]
            gone = [each["respondent"] in found["fewest_respondents"] for each in found["answers"]]
            assert without(case, gone) != found["winner"]
            flipped += 1
    assert flipped >= 15


@pytest.mark.parametrize("model", ["touchstone", "majority"])
def test_what_is_not_named_is_one_term(engine: Engine, runtime: Runtime, model: str) -> None:
    project = make_project(engine, "cab", model=model)
    many = [answer("c", f"r{number:03}", "aab"[number % 3]) for number in range(200)]
    grade(engine, runtime, project, *many, {"challenge": "c", "respondent": "s", "skip": True})
    (challenge,) = challenges(engine, project).values()
    whole = explained(runtime, project, challenge)
    found = explain.run(runtime, project, challenge, gold=False, listed=30)
    assert found is not None
    assert whole["others"] is None
    assert (len(found["answers"]), found["others"]["answers"]) == (30, 171)
    named = [each["contribution"] for each in found["answers"]]
    left = sorted(abs(each["contribution"]) for each in whole["answers"])[: found["others"]["answers"]]
    assert min(map(abs, named)) >= left[-1]
    terms = [found["prior"], *named, found["others"]["contribution"], *(step["value"] for step in found["steps"])]
    assert abs(math.fsum(terms) - found["total"]) < 1e-9
    for unit in ("answers", "respondents"):
        size = len(whole[f"fewest_{unit}"])
        assert found[f"fewest_{unit}_count"] == whole[f"fewest_{unit}_count"] == size
        assert found[f"fewest_{unit}"] == whole[f"fewest_{unit}"][:30]


def test_who_cannot_tell_says_nothing_and_what_does_not_count_is_not_there(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, "ab", repeats="last")
    skip: Answer = {"challenge": "c", "respondent": "r2", "skip": True}
    grade(engine, runtime, project, answer("c", "r1", "b", 0), skip, answer("c", "r1", "a", 1), answer("c", "r0", "a"))
    (challenge,) = challenges(engine, project).values()
    answers = explained(runtime, project, challenge)["answers"]
    assert [(each["respondent"], each["answer"]) for each in answers] == [("r0", "a"), ("r1", "a"), ("r2", None)]
    assert [each["contribution"] > 0 for each in answers] == [True, True, False]
    assert answers[2]["contribution"] == 0


def test_reliabilities_of_few_answers_are_told_to_gold_alone(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    execute(engine, "UPDATE projects SET score_answers = 20")
    grade(engine, runtime, project, *crowd(3), answer("c0", "stranger", "a"))
    gild(engine, project, {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)})
    regrade.run(runtime, project)
    fit(engine, runtime, project)
    with engine.connect() as connection:
        query = (
            "SELECT r.key FROM respondent_statistics s JOIN respondents r ON r.id = respondent_id WHERE answers < 20"
        )
        few = set(connection.execute(text(query)).scalars())
    assert "stranger" in few
    challenge = challenges(engine, project)["c0"]
    told = explained(runtime, project, challenge)
    assert {each["respondent"] for each in told["answers"] if each["reliability"] is None} == few & {
        each["respondent"] for each in told["answers"]
    }
    whole = explained(runtime, project, challenge, gold=True)
    assert all(0 < each["reliability"]["accuracy"] < 1 for each in whole["answers"])
    for each in whole["answers"]:
        each["reliability"] = None
    for each in told["answers"]:
        each["reliability"] = None
    assert told == whole


def test_what_gold_says_of_a_stranger_shows_in_no_term(engine: Engine, runtime: Runtime) -> None:
    """The stranger's one other answer is to a challenge that becomes gold, against what the stranger said."""
    project = make_project(engine)
    grade(engine, runtime, project, *crowd(3), answer("c0", "stranger", "a"), answer("c1", "stranger", "b"))
    asked = challenges(engine, project)
    before = explained(runtime, project, asked["c0"], gold=True)
    gild(engine, project, {"c1": "c"})
    regrade.run(runtime, project)
    grade(engine, runtime, project, answer("other", "other", "a"))
    after = explained(runtime, project, asked["c0"], gold=True)
    (was,) = (each for each in before["answers"] if each["respondent"] == "stranger")
    (now,) = (each for each in after["answers"] if each["respondent"] == "stranger")
    assert was == now


def test_there_is_nothing_to_explain(engine: Engine, runtime: Runtime) -> None:
    project, other = make_project(engine, "ab"), make_project(engine, "ab", name="other")
    skip: Answer = {"challenge": "skipped", "respondent": "r", "skip": True}
    grade(engine, runtime, project, answer("c", "r", "a"), skip)
    found = challenges(engine, project)
    assert explain.run(runtime, project, found["skipped"], gold=False) is None
    assert explain.run(runtime, other, found["c"], gold=False) is None
    assert explain.run(runtime, project, 10**9, gold=False) is None


def test_a_single_class_has_no_rival(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True)
    grade(engine, runtime, project, answer("c", "r", "a"))
    (challenge,) = challenges(engine, project).values()
    found = explained(runtime, project, challenge)
    assert (found["winner"], found["answers"][0]["contribution"], "runner_up" in found) == ("a", 0, False)
