"""`touchstone submit` against a real API and a real worker."""

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from config.environment import inherited
from tests.integration.cli.conftest import Touchstone
from tests.integration.cli.interruptions import Interruptions, interruptions

pytestmark = pytest.mark.xdist_group("cli-api")

RIGHT = ("yes", "no")


@pytest.fixture
def project(online: Touchstone) -> str:
    """A project with the classes yes and no."""
    name = f"p-{uuid.uuid4().hex}"
    made = online("project", "create", name, "--class=yes", "--class=no")
    assert made.code == 0, made.err
    return name


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """60 challenges with 5 answers each: four of the five respondents are always right."""
    path = tmp_path / "answers.csv"
    path.write_text(
        "task,worker,label\n"
        + "".join(
            f"c{challenge},r{respondent},{RIGHT[(challenge + (respondent == 4)) % 2]}\n"
            for challenge in range(60)
            for respondent in range(5)
        )
    )
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """The right answer of each of the 60 challenges, and of one more."""
    path = tmp_path / "truth.csv"
    path.write_text("task,label\n" + "".join(f"c{challenge},{RIGHT[challenge % 2]}\n" for challenge in range(61)))
    return path


def _stored(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        row = connection.execute(
            text("""
                SELECT (SELECT count(*) FROM batches) AS batches,
                       (SELECT coalesce(sum(answers), 0) FROM batches) AS accepted,
                       (SELECT count(*) FROM answers) AS answers,
                       (SELECT count(DISTINCT (challenge_id, respondent_id)) FROM answers) AS pairs,
                       (SELECT coalesce(sum(lost), 0) FROM ledger) AS lost
            """)
        ).one()
    return dict(row._mapping)


@pytest.mark.usefixtures("fleet")
def test_submit_waits_and_scores(online: Touchstone, project: str, answers: Path, truth: Path, engine: Engine) -> None:
    done = online("submit", answers, "--project", project, "--batch-size=40", "--wait", "--truth", truth, "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "project": project,
        "answers": 300,
        "batches": 8,
        "graded": 300,
        "superseded": 0,
        "rejected": 0,
        "dead": 0,
        "cancelled": 0,
        "lost": 0,
        "accuracy": 1.0,
        "scored": 60,
    }
    assert _stored(engine) == {"batches": 8, "accepted": 300, "answers": 300, "pairs": 300, "lost": 0}

    again = online("submit", answers, "--project", project, "--batch-size=40", "--wait", "--json")
    assert again.json | {"accuracy": 1.0, "scored": 60} == done.json
    assert _stored(engine)["batches"] == 8


def test_submit_need_not_wait(online: Touchstone, project: str, answers: Path, engine: Engine) -> None:
    done = online("submit", answers, "--project", project, "--lane=live", "--json")
    assert (done.code, done.json["answers"], done.json["batches"]) == (0, 300, 3)
    assert done.json["graded"] is done.json["lost"] is done.json["accuracy"] is None
    assert _stored(engine)["batches"] == 3
    assert {batch["lane"] for batch in online("batch", "list", "--project", project, "--json").json} == {"live"}


def test_another_lane_is_refused(online: Touchstone, project: str, answers: Path) -> None:
    command = ("submit", answers, "--project", project)
    online(*command, "--lane=live")
    assert "with another --batch-size or --lane" in online(*command, "--lane=bulk").err


@pytest.mark.parametrize("first", ["100", "300", "7"])
def test_another_batch_size_is_refused(
    online: Touchstone, project: str, answers: Path, engine: Engine, first: str
) -> None:
    command = ("submit", answers, "--project", project, "--lane=live")
    online(*command, f"--batch-size={first}")
    stored = _stored(engine)["batches"]
    refused = online(*command, "--batch-size=50")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "with another --batch-size or --lane" in refused.err
    assert _stored(engine)["batches"] == stored
    assert online(*command, f"--batch-size={first}").code == 0


def test_a_size_is_refused_after_an_interrupted_run_too(
    online: Touchstone, project: str, answers: Path, engine: Engine, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the first run got no further than one batch, and did not learn that it was stored."""
    with interruptions(api_url, hold_after=0) as way:
        monkeypatch.setenv("TOUCHSTONE_API_URL", way.url)
        _interrupt(way, answers, project)
    monkeypatch.setenv("TOUCHSTONE_API_URL", api_url)
    assert _stored(engine)["batches"] == 1
    refused = online("submit", answers, "--project", project, "--batch-size=50")
    assert (refused.code, "another --batch-size" in refused.err) == (2, True)


@pytest.mark.usefixtures("fleet")
def test_after_ctrl_c_the_same_command_goes_on(
    online: Touchstone, project: str, answers: Path, engine: Engine, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with interruptions(api_url, hold_after=9) as way:
        monkeypatch.setenv("TOUCHSTONE_API_URL", way.url)
        _interrupt(way, answers, project)
    monkeypatch.setenv("TOUCHSTONE_API_URL", api_url)
    assert 5 <= _stored(engine)["batches"] < 30  # a reply may come in two pieces

    done = online("submit", answers, "--project", project, "--batch-size=10", "--wait", "--json")
    assert (done.code, done.json["graded"], done.json["superseded"], done.json["lost"]) == (0, 300, 0, 0)
    assert _stored(engine) == {"batches": 30, "accepted": 300, "answers": 300, "pairs": 300, "lost": 0}


def _interrupt(way: Interruptions, answers: Path, project: str) -> None:
    """Start to submit, and press Ctrl-C when a reply does not come."""
    command = [sys.executable, "-m", "cli.main", "submit", str(answers), "--project", project, "--batch-size=10"]
    process = subprocess.Popen(command, env=inherited(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert way.held.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert said.startswith("interrupted: ")
    assert "Traceback" not in said


@pytest.mark.usefixtures("fleet")
def test_lost_replies_are_asked_for_again(
    online: Touchstone, project: str, answers: Path, engine: Engine, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with interruptions(api_url, lose=4) as way:
        monkeypatch.setenv("TOUCHSTONE_API_URL", way.url)
        done = online("submit", answers, "--project", project, "--batch-size=10", "--wait", "--json")
        assert way.lost >= 10
    assert (done.code, done.json["graded"], done.json["superseded"], done.json["lost"]) == (0, 300, 0, 0)
    assert _stored(engine) == {"batches": 30, "accepted": 300, "answers": 300, "pairs": 300, "lost": 0}


@pytest.fixture
def flawed(answers: Path) -> Path:
    """The answers with four wrong ones, on lines 3, 152, 153 and 302."""
    lines = answers.read_text().splitlines()
    for line in (3, 152, 153):
        lines[line - 1] = lines[line - 1].rpartition(",")[0] + ",maybe"
    lines.append("x" * 300 + ",r0,yes")
    answers.write_text("\n".join(lines))
    return answers


def test_bad_answers_are_named_by_line(online: Touchstone, project: str, flawed: Path, engine: Engine) -> None:
    refused = online("submit", flawed, "--project", project, "--batch-size=50", "--concurrency=1")
    assert refused.code == 2
    named, error = refused.err.splitlines()
    assert named == f'{flawed}, line 3: answer: "maybe" is not one of yes, no'
    assert error.startswith("error: nothing of lines 2 to 51 is stored")
    assert _stored(engine)["batches"] == 0


@pytest.mark.usefixtures("fleet")
def test_partial_stores_the_good_answers(online: Touchstone, project: str, flawed: Path, engine: Engine) -> None:
    command = ("submit", flawed, "--project", project, "--batch-size=50", "--partial", "--json")
    done = online(*command)
    assert done.code == 0
    assert [line.split(": ")[0].rpartition(" ")[2] for line in done.err.splitlines()] == ["3", "152", "153", "302"]
    assert (done.json["answers"], done.json["rejected"], done.json["batches"]) == (301, 4, 6)

    waited = online(*command, "--wait")
    assert waited.code == 0
    assert (waited.json["graded"], waited.json["rejected"], waited.json["lost"]) == (297, 4, 0)
    assert _stored(engine) == {"batches": 6, "accepted": 300, "answers": 297, "pairs": 297, "lost": 0}


def test_partial_goes_on_where_a_refusal_stopped(
    online: Touchstone, project: str, flawed: Path, engine: Engine
) -> None:
    command = ("submit", flawed, "--project", project, "--batch-size=150", "--lane=live")
    flawed.write_text(flawed.read_text().replace("maybe", "yes", 1))
    assert online(*command).code == 2
    assert _stored(engine)["batches"] == 1
    assert online(*command, "--partial").code == 0
    assert online(*command, "--partial").code == 0
    assert _stored(engine)["batches"] == 2


def test_a_file_of_something_else_is_refused_at_its_first_batch(
    online: Touchstone, project: str, answers: Path, engine: Engine
) -> None:
    answers.write_text(answers.read_text().replace("yes", "ja").replace("no", "nein"))
    refused = online("submit", answers, "--project", project, "--partial")
    assert refused.code == 2
    assert "no answer of the first batch can be stored: line 2: answer:" in refused.err
    assert _stored(engine)["batches"] == 0


def test_a_batch_too_large_for_the_api(online: Touchstone, project: str, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("w") as file:
        file.write("task,worker,label\n")
        file.writelines(f"{'c' * 500}{number},{'r' * 500},yes\n" for number in range(9000))
    refused = online("submit", large, "--project", project, "--batch-size=10000")
    assert (refused.code, "choose a smaller --batch-size" in refused.err) == (2, True)


def test_no_such_project(online: Touchstone, answers: Path) -> None:
    refused = online("submit", answers, "--project", "nowhere")
    assert (refused.code, refused.err) == (2, "error: no project is named 'nowhere' (HTTP 404)\n")


def test_times_without_a_zone_are_utc(online: Touchstone, project: str, tmp_path: Path) -> None:
    file = tmp_path / "timed.ndjson"
    answer = {"challenge": "c", "respondent": "r", "answer": "yes", "answered_at": "2026-01-05T10:00:00"}
    file.write_text(json.dumps(answer))
    assert online("submit", file, "--project", project, "--lane=live").code == 0
