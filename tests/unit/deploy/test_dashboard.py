"""The dashboard shows what there is, and all of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.deploy import promql, promtool
from tests.unit.deploy.files import DEPLOY

GRAFANA = DEPLOY / "grafana"
INTERVAL = "$__rate_interval"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "fleet.json").read_text())
    return content


@pytest.fixture(scope="module")
def expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_it_asks_for_what_there_is(expressions: list[str]) -> None:
    assert expressions
    assert {fault for expression in expressions for fault in promql.faults(expression)} == set()


def test_it_shows_every_metric(expressions: list[str]) -> None:
    families = {metric.family for metric in promql.SCRAPED.values()}
    shown = {metric.family for name, metric in promql.SCRAPED.items() if any(name in each for each in expressions)}
    assert shown == families


def test_panels_have_room_and_a_source(dashboard: dict[str, Any]) -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    (source,) = provisioned["datasources"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_compose_gives_grafana_its_files(compose: dict[str, Any], dashboard: dict[str, Any]) -> None:
    service = compose["services"]["grafana"]
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in service["volumes"])
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "touchstone.yaml").read_text())
    assert mounts == {
        "./grafana/provisioning": "/etc/grafana/provisioning",
        "./grafana/dashboards": provider["providers"][0]["options"]["path"],
    }
    assert all((DEPLOY / source).is_dir() for source in mounts)
    home = Path(service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (GRAFANA / "dashboards" / home.name).is_file()
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert not dashboard["editable"]


@promtool.needed
def test_promtool_takes_the_expressions(expressions: list[str], tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace(INTERVAL, "1m")}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool.run("check", "rules", file)
