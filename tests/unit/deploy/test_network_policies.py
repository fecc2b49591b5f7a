"""Who may talk to whom."""

from typing import Any

from tests.unit.deploy import manifests

DNS, POSTGRES, REDIS = 53, 5432, 6379


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    listed = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in listed)
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(each["key"]) in each["values"] for each in listed
    )


def policies(name: str) -> list[dict[str, Any]]:
    """Those that hold for the pods of a workload."""
    labels = manifests.workloads()[name]["metadata"]["labels"]
    found = [policy["spec"] for policy in manifests.of("NetworkPolicy").values()]
    return [spec for spec in found if selects(spec["podSelector"], labels)]


def opened(name: str, way: str) -> set[Any]:
    """The ports that a workload may reach, or be reached at."""
    return {port["port"] for spec in policies(name) for rule in spec.get(way, []) for port in rule["ports"]}


def test_nothing_is_allowed_that_is_not_named() -> None:
    for name in manifests.workloads():
        assert any(
            spec["policyTypes"] == ["Ingress", "Egress"] and not {"ingress", "egress"} & set(spec)
            for spec in policies(name)
        ), name


def test_each_reaches_the_servers_whose_address_it_is_told() -> None:
    for name, container in manifests.containers().items():
        servers = {"DATABASE_URL": POSTGRES, "REDIS_URL": REDIS}
        told = {servers[key] for key in manifests.secrets(container) & set(servers)}
        assert opened(name, "egress") == {DNS} | told, name


def test_only_the_api_and_metrics_are_reached_and_from_named_namespaces_only() -> None:
    for name, container in manifests.containers().items():
        ports = {port["name"] for port in container.get("ports", [])}
        assert opened(name, "ingress") & ports == ports - {"flower"}, name
    assert sources("api") == {"touchstone/ingress", "touchstone/metrics"}
    assert all(sources(name) == {"touchstone/metrics"} for name in ("worker", "worker-refit", "worker-maintenance"))
    assert not any(sources(name) for name in ("beat", "flower", "migrate"))


def sources(name: str) -> set[str]:
    """The labels of namespaces from which a workload may be reached."""
    selectors = [
        each["namespaceSelector"]["matchLabels"]
        for spec in policies(name)
        for rule in spec.get("ingress", [])
        for each in rule["from"]
    ]
    assert all(selectors)
    return {key for selector in selectors for key in selector}
