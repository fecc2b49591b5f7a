"""Gold on the command line, against a real API."""

import uuid
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Touchstone
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("cli-api")


@pytest.fixture
def project(online: Touchstone) -> str:
    name = f"p-{uuid.uuid4().hex}"
    assert online("project", "create", name, "--class=a", "--class=b").code == 0
    return f"--project={name}"


def test_a_file_of_gold(online: Touchstone, project: str, tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("task,label\n" + "".join(f"img/{number},a\n" for number in range(1500)))
    first = online("gold", "import", path, project, "--json")
    assert first.json == {"added": 1500, "changed": 0, "unchanged": 0}, first.err
    assert online("gold", "import", path, project, "--json").json["unchanged"] == 1500
    assert len(online("gold", "list", project, "--json").json) == 1500
    assert len(online("gold", "list", project, "--limit=7", "--json").json) == 7

    path.write_text("challenge,answer\n" + "c,a\n" * 1200 + "d,z\n")
    refused = online("gold", "import", path, project)
    assert refused.code == 2
    assert f'{path}, line 1202, column answer: "z" is not one of a, b' in refused.err


def test_one_challenge(online: Touchstone, project: str) -> None:
    assert online("gold", "add", "img/17", "a", project, "--note=by hand", "--json").json["note"] == "by hand"
    assert online("gold", "dispute", "img/17", project, "--json").json["state"] == "disputed"
    assert online("gold", "list", project, "--state=disputed", "--json").json[0]["challenge"] == "img/17"
    assert online("gold", "reinstate", "img/17", project, "--json").json["state"] == "active"
    assert "img/17" in online("gold", "list", project, "--unflagged").out
    assert online("gold", "list", project, "--flagged", "--json").json == []
    assert online("gold", "retire", "img/17", project, "--json").json["state"] == "retired"
    missing = online("gold", "retire", "none", project)
    assert (missing.code, "'none' is not gold" in missing.err) == (2, True)


@pytest.mark.usefixtures("fleet")
def test_answers_are_sent_after_their_gold(online: Touchstone, project: str, tmp_path: Path) -> None:
    answers, gold = tmp_path / "answers.csv", tmp_path / "gold.csv"
    answers.write_text("task,worker,label\n" + "".join(f"c{c},r{r},a\n" for c in range(4) for r in range(3)))
    gold.write_text("task,label\nc0,a\nc1,b\n")
    sent = online("submit", answers, project, f"--gold={gold}", "--wait", "--json")
    assert (sent.json["gold"], sent.json["graded"]) == (2, 12), sent.err
    until(lambda: all(row["applied"] for row in online("gold", "list", project, "--json").json), "workers to follow it")
