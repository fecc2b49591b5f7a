"""Whoever is woken finds a section, and in it commands and SQL that work."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from db import models
from tests.unit.deploy import console
from tests.unit.deploy.files import DEPLOY, SETTINGS

RUNBOOK = DEPLOY / "runbook.md"
TEXT = RUNBOOK.read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
VIEWS = {"ledger", "answers", "verdicts", "events"}
PARTS = ("**Users:**", "**Look:**", "**Do:**", "**Escalate:**")


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [content for kind, content in fenced if kind == language]


def statements() -> list[str]:
    return [each.strip() for block in blocks("sql") for each in block.split(";") if each.strip()]


def test_each_alert_has_a_section_and_each_section_an_alert() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    runbooks = {rule["annotations"]["runbook"] for group in groups for rule in group["rules"]}
    assert runbooks == {f"deploy/runbook.md#{name.lower()}" for name in SECTIONS}
    assert {link.partition("#")[2] for link in runbooks} <= anchors(RUNBOOK)


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_says_what_it_means_where_to_look_what_to_do_and_when_to_call(name: str) -> None:
    places = [SECTIONS[name].find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = (RUNBOOK.parent / path).resolve() if path else RUNBOOK
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_console_script_takes_every_command() -> None:
    lines = [line for block in blocks("") for line in block.splitlines()]
    lines += [f"touchstone {rest}" for rest in re.findall(r"`touchstone ([^`]+)`", TEXT)]
    commands = [shlex.split(line) for line in lines if line.startswith("touchstone ")]
    assert len(commands) > 5
    for command in commands:
        if len(command) > 2 or command[1] in {"status", "db"}:
            try:
                console.parse(command)
            except typer.Exit:  # --help
                continue


def test_sql_names_tables_and_columns_that_there_are() -> None:
    tables = models.Base.metadata.tables
    assert len(statements()) > 10
    for statement in statements():
        named = re.findall(r"\b(?:FROM|JOIN) (\w+)(?: (?!WHERE|JOIN|ON|GROUP|ORDER)(\w+))?", statement)
        aliases = {alias: table for table, alias in named if alias}
        for table, _ in named:
            assert table in tables or table in VIEWS or table.startswith("pg_"), statement
        for alias, column in re.findall(r"\b([a-z])\.(\w+)", statement):
            table = aliases[alias]
            assert table.startswith("pg_") or column in tables[table].columns, f"{table}.{column}"


def test_sql_only_reads() -> None:
    assert {statement.split()[0] for statement in statements()} == {"SELECT"}


def test_settings_that_are_named_are_settings() -> None:
    assert set(re.findall(r"\bTOUCHSTONE_[A-Z_]+", TEXT)) <= SETTINGS
