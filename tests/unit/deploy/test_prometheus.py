"""What is scraped, and when somebody is told."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.deploy import manifests, promql, promtool
from tests.unit.deploy.files import DEPLOY

PROMETHEUS = DEPLOY / "prometheus"
METRICS_PORT = "9100"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PROMETHEUS / name).read_text())
    return content


ALERTS = {rule["alert"]: rule for group in load("alerts.yaml")["groups"] for rule in group["rules"]}


def test_each_alert_has_its_own_name() -> None:
    rules = [rule for group in load("alerts.yaml")["groups"] for rule in group["rules"]]
    assert len(rules) == len(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook"] == f"deploy/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_asks_for_what_there_is(name: str) -> None:
    assert promql.faults(ALERTS[name]["expr"]) == []


@pytest.mark.parametrize(
    "expression",
    [
        "touchstone_answer",
        "touchstone_answers_total",
        "touchstone_claims",
        'touchstone_answers{lane="live"}',
        'touchstone_answers{state="gone"}',
        'touchstone_claims_total{outcome=~"failed|sunk"}',
        'touchstone_flush_seconds_bucket{le="0.3"}',
        'touchstone_answers{job="workers"}',
        'touchstone_http_requests_total{route="/v2"}',
        "sum by (project) (touchstone_answers)",
        'up{job="api"}',
    ],
)
def test_what_there_is_not_is_noticed(expression: str) -> None:
    assert promql.faults(expression)


def test_compose_scrapes_every_process_that_serves_metrics(compose: dict[str, Any]) -> None:
    serving = {"api": 8000, "worker": int(METRICS_PORT)}
    serving |= dict.fromkeys(("worker-refit", "worker-maintenance"), int(METRICS_PORT))
    found = {}
    for job in load("prometheus.yml")["scrape_configs"]:
        (lookup,) = job["dns_sd_configs"]
        assert lookup["names"] == [job["job_name"]]
        assert lookup["type"] == "A"
        found[job["job_name"]] = lookup["port"]
    assert found == serving
    for name in serving:
        assert compose["services"][name]["environment"]["TOUCHSTONE_METRICS_PORT"] == METRICS_PORT
    assert {name for name, service in compose["services"].items() if "--lane" in service.get("command", [])} < set(
        found
    )


def test_kubernetes_has_the_same_jobs() -> None:
    (job,) = load("kubernetes.yml")["scrape_configs"]
    keep, *_, component, _instance = job["relabel_configs"]
    assert component["target_label"] == "job"
    assert component["source_labels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
    kept = {
        name
        for name, container in manifests.containers().items()
        for port in container.get("ports", [])
        if re.fullmatch(keep["regex"], f"touchstone;{port['name']}")
    }
    assert kept == promql.jobs()
    assert load("kubernetes.yml")["rule_files"] == load("prometheus.yml")["rule_files"] == ["alerts.yaml"]


def test_compose_gives_prometheus_its_files(compose: dict[str, Any]) -> None:
    service = compose["services"]["prometheus"]
    assert "./prometheus:/etc/prometheus:ro" in service["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in service["command"]


@promtool.needed
def test_promtool_takes_the_files(tmp_path: Path) -> None:
    promtool.run("check", "rules", PROMETHEUS / "alerts.yaml")
    promtool.run("check", "config", PROMETHEUS / "prometheus.yml")
    # Debian's is built without Kubernetes.
    content = load("kubernetes.yml") | {"rule_files": []}
    del content["scrape_configs"][0]["kubernetes_sd_configs"]
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(content))
    promtool.run("check", "config", tmp_path / "kubernetes.yml")


@promtool.needed
def test_alerts_fire_when_they_are_to() -> None:
    promtool.run("test", "rules", PROMETHEUS / "alerts.test.yaml")


def test_whatever_pages_is_tested_and_shown_to_be_silent_once() -> None:
    cases = [case for test in load("alerts.test.yaml")["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fired | silent <= set(ALERTS)
    paging = {name for name, rule in ALERTS.items() if rule["labels"]["severity"] == "page"}
    assert paging <= fired
    assert paging <= silent
