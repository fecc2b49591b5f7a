"""Groups of respondents on the command line, against a real API."""

import uuid
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Touchstone

pytestmark = pytest.mark.xdist_group("cli-api")


def test_groups_are_put_listed_and_removed(online: Touchstone, tmp_path: Path) -> None:
    name = f"p-{uuid.uuid4().hex}"
    assert online("project", "create", name, "--class=a", "--class=b").code == 0
    project = f"--project={name}"
    keys = tmp_path / "keys.txt"
    keys.write_text("r2\nr3\n")

    put = online("group", "put", "farm/1", "r1", project, f"--file={keys}", "--json")
    assert put.json == {"group": "farm/1", "respondents": 3, "odds": None}, put.err
    assert online("group", "list", project, "--json").json == [put.json]
    assert online("group", "list", project, "--odds=1", "--json").json == []
    assert online("group", "remove", "farm/1", project, "--json").json == put.json
    assert online("group", "list", project, "--json").json == []

    missing = online("group", "put", "farm/1", project, f"--file={tmp_path / 'none'}")
    assert (missing.code, "No such file" in missing.err) == (2, True)
    nobody = online("group", "put", "farm/1", project)
    assert (nobody.code, "respondents" in nobody.err) == (2, True), nobody.err
