"""What the command line does over HTTP, against a real API: projects, batches, refits, exports."""

import csv
import io
import json
import uuid
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import Engine, text

from tests.integration.cli.conftest import Processes, Touchstone
from tests.versions import make_challenges, write

pytestmark = pytest.mark.xdist_group("cli-api")


@pytest.fixture
def name() -> str:
    """A name that no project had before."""
    return f"p-{uuid.uuid4().hex}"


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Six answers to two challenges."""
    path = tmp_path / "answers.csv"
    path.write_text("task,worker,label\n" + "".join(f"{c},r{r},{c[-1]}\n" for c in ("is-a", "is-b") for r in range(3)))
    return path


def test_projects(online: Touchstone, name: str) -> None:
    made = online("project", "create", name, "--class=b", "--class=a", "--pass-threshold=0.9", "--json")
    assert made.code == 0, made.err
    assert (made.json["classes"], made.json["classes_open"], made.json["pass_threshold"]) == (["b", "a"], False, 0.9)

    assert [project["name"] for project in online("project", "list", "--json").json] == [name]
    assert online("project", "show", name, "--json").json == made.json
    assert name in online("project", "show", name).out

    changed = online(
        "project", "set", name, "--fail-threshold=0.2", "--model=majority", "--repeats=last", "--json"
    ).json
    assert (changed["fail_threshold"], changed["model"], changed["repeats"]) == (0.2, "majority", "last")


def test_an_open_project(online: Touchstone, name: str) -> None:
    made = online("project", "create", name, "--open", "--max-classes=40", "--options-differ", "--json").json
    assert (made["classes_open"], made["max_classes"], made["options_shared"]) == (True, 40, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give each class with --class, or --open"),
        (["--class=a", "--class=b", "--open"], "give each class with --class, or --open"),
        (["--class=a", "--class=b", "--max-classes=3"], "--max-classes goes with --open"),
        (["--class=a", "--class=b", "--fail-threshold=0.9"], "fail_threshold"),
        (["--class=a", "--class=b", "--model=oracle"], "model"),
    ],
)
def test_a_wrong_project_is_refused_in_one_line(
    online: Touchstone, name: str, options: list[str], message: str
) -> None:
    refused = online("project", "create", name, *options)
    assert refused.code == 2
    assert refused.err.startswith("error: ")
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_taken_name_and_nothing_to_change(online: Touchstone, name: str) -> None:
    online("project", "create", name, "--class=a", "--class=b")
    assert "exists (HTTP 409)" in online("project", "create", name, "--class=a", "--class=b").err
    assert online("project", "set", name).err.startswith("error: nothing to change")


def test_a_wrong_key(online: Touchstone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_API_KEY", "ts_wrong")
    refused = online("project", "list")
    assert (refused.code, "(HTTP 401)" in refused.err) == (2, True)


def test_batches(online: Touchstone, name: str, answers: Path, engine: Engine) -> None:
    """In the lane that no worker of these tests serves."""
    online("project", "create", name, "--class=a", "--class=b")
    online("submit", answers, "--project", name, "--batch-size=2", "--lane=live")
    first, second, third = online("batch", "list", "--project", name, "--json").json
    assert online("batch", "list", "--project", name, "--limit=2", "--json").json == [first, second]
    assert online("batch", "list", "--project", name, "--lane=bulk", "--json").json == []
    assert third["id"] in online("batch", "list", "--project", name).out
    assert online("batch", "show", first["id"], "--project", name, "--json").json == first

    cancelled = online("batch", "cancel", first["id"], "--project", name, "--json")
    assert cancelled.json["counts"]["cancelled"] == 2
    refused = online("batch", "retry", first["id"], "--project", name)
    assert (refused.code, "(HTTP 409)" in refused.err) == (2, True)

    with engine.begin() as connection:
        connection.execute(text("UPDATE batches SET state = 'dead' WHERE uid = :uid"), {"uid": second["id"]})
    assert online("batch", "list", "--project", name, "--state=dead", "--json").json[0]["counts"]["dead"] == 2
    assert online("batch", "retry", second["id"], "--project", name, "--json").json["state"] == "waiting"


@pytest.mark.usefixtures("fleet")
def test_refit(online: Touchstone, name: str, answers: Path, processes: Processes) -> None:
    online("project", "create", name, "--class=a", "--class=b")
    online("submit", answers, "--project", name, "--wait")
    asked = online("refit", "--project", name, "--json")
    assert (asked.code, asked.json["state"]) == (0, "waiting")
    fitter = processes.start("refit", "worker", "--lane=refit", "--name=cli-tests-refit")
    try:
        done = online("refit", "--project", name, "--wait", "--json")
    finally:
        fitter.stop()
    assert (done.code, done.json["state"], done.json["answers"]) == (0, "done", 6)


@pytest.mark.usefixtures("fleet")
def test_export(online: Touchstone, name: str, answers: Path, tmp_path: Path) -> None:
    online("project", "create", name, "--class=a", "--class=b")
    online("submit", answers, "--project", name, "--wait")
    rows = list(csv.DictReader(io.StringIO(online("export", "--project", name).out)))
    assert [(row["challenge"], row["answer"]) for row in rows] == [("is-a", "a"), ("is-b", "b")]

    out = tmp_path / "verdicts.ndjson"
    assert online("export", "--project", name, "--format=ndjson", "--out", out).out == ""
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [verdict["posterior"]["a"] > 0.5 for verdict in verdicts] == [True, False]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    whole = tmp_path / "verdicts.parquet"
    online("export", "--project", name, "--format=parquet", "--out", whole, "--answer=b", "--status=open")
    assert parquet.read_table(whole)["challenge"].to_pylist() == ["is-b"]
    people = online("export", "--project", name, "--what=respondents", "--order=-answers", "--min-answers=1").out
    answered = [int(row["answers"]) for row in csv.DictReader(io.StringIO(people))]
    assert answered == sorted(answered, reverse=True) != []
    assert online("export", "--project", name, "--what=respondents", "--status=open").code == 2
    given = online("export", "--project", name, "--what=grades", "--format=ndjson", "--accepted-after=2020-01-01").out
    assert [json.loads(line)["state"] for line in given.splitlines()] == ["graded"] * 6
    assert online("export", "--project", name, "--what=grades", "--order=key").code == 2
    assert online("export", "--project", name, "--updated-after=2999-01-01").out.count("\n") == 1


def test_an_export_that_fails_leaves_the_old_file(online: Touchstone, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.csv"
    out.write_text("old")
    refused = online("export", "--project", "nowhere", "--out", out)
    assert (refused.code, out.read_text()) == (2, "old")
    assert list(tmp_path.iterdir()) == [out]
    missing = online("export", "--project", "nowhere", "--out", tmp_path / "no" / "such" / "file")
    assert missing.code == 2


def test_events(online: Touchstone, name: str, engine: Engine) -> None:
    online("project", "create", name, "--class=a", "--class=b")
    assert online("events", "--project", name).out == ""
    with engine.connect() as connection:
        project = connection.execute(text("SELECT id FROM projects WHERE name = :name"), {"name": name}).scalar_one()
    challenges = make_challenges(engine, project, 2)
    for _ in range(2):
        with engine.begin() as connection:
            write(connection, project, challenges)
    listed = [json.loads(line) for line in online("events", "--project", name, "--json").out.splitlines()]
    assert [(event["position"], event["version"]) for event in listed] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    rest = online("events", "--project", name, "--after", listed[2]["cursor"])
    assert rest.out.count("\n") == 1
    assert "verdict.corrected" in rest.out
    assert online("events", "--project", name, "--after=x").code == 2
