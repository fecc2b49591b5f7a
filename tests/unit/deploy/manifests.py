"""The manifests of deploy/kubernetes/."""

from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.unit.deploy.files import DEPLOY

Document = dict[str, Any]

KUBERNETES = DEPLOY / "kubernetes"
SETS = ("base", "migrate")
"""Directories that can be applied."""


def kustomization(directory: str) -> Document:
    content: Document = yaml.safe_load((KUBERNETES / directory / "kustomization.yaml").read_text())
    return content


@cache
def resources() -> tuple[Document, ...]:
    """Every document that is applied, apart from what kustomize makes."""
    files = [KUBERNETES / directory / name for directory in SETS for name in kustomization(directory)["resources"]]
    return tuple(document for file in files for document in yaml.safe_load_all(file.read_text()))


def of(kind: str) -> dict[str, Document]:
    """The documents of a kind, by name without its prefix."""
    return {
        document["metadata"]["name"].removeprefix("touchstone-"): document
        for document in resources()
        if document["kind"] == kind
    }


def workloads() -> dict[str, Document]:
    """Pod templates by name of the workload."""
    return {name: document["spec"]["template"] for name, document in (of("Deployment") | of("Job")).items()}


def containers() -> dict[str, Document]:
    """The one container of each workload."""
    found = {}
    for name, template in workloads().items():
        (found[name],) = template["spec"]["containers"]
    return found


def literals() -> dict[str, str]:
    """What the generated ConfigMap holds."""
    (generator,) = kustomization("base")["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def secrets(container: Document) -> set[str]:
    """The keys of the Secret that a container gets."""
    return {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"] if "valueFrom" in each}
