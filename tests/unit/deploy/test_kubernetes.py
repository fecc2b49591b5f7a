"""The manifests against Kubernetes's schemas, against compose.yaml, and against the product."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.deploy import console, manifests
from tests.unit.deploy.files import DEPLOY, SETTINGS
from tests.unit.deploy.manifests import Document

Services = dict[str, dict[str, Any]]

OLDEST = "1.29"
UNPROBED = {"beat", "migrate"}
"""The one has no sign of life, the other ends."""
STAMP = re.compile(r"CMD (\[\"sh\", .*\])$", re.MULTILINE)
UNITS = {"Mi": 1, "Gi": 1024}

kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")


def megabytes(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def valid(document: Document, version: str) -> None:
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:  # its own text is the whole schema
        pytest.fail(f"{document['kind']} {document['metadata']['name']}: {error.message}")


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_every_manifest_is_what_kubernetes_takes(version: str) -> None:
    example = yaml.safe_load((manifests.KUBERNETES / "ingress.example.yaml").read_text())
    for document in [*manifests.resources(), example]:
        valid(document, version)


def test_every_file_is_applied_and_no_namespace_is_named() -> None:
    for directory in manifests.SETS:
        files = {path.name for path in (manifests.KUBERNETES / directory).glob("*.yaml")} - {"kustomization.yaml"}
        assert files == set(manifests.kustomization(directory)["resources"])
        assert "namespace" not in manifests.kustomization(directory)
    assert all("namespace" not in document["metadata"] for document in manifests.resources())


@kubectl
@pytest.mark.parametrize("gpu", [False, True])
def test_kustomize_builds_what_kubernetes_takes(tmp_path: Path, gpu: bool) -> None:
    def path(name: str) -> str:
        return os.path.relpath(manifests.KUBERNETES / name, tmp_path)

    overlay = {"resources": [path("base"), path("migrate")], "components": [path("gpu")] if gpu else []}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    for document in documents:
        valid(document, kubernetes_validate.latest_version())
    images = set(re.findall(r"image: touchstone/([\w-]+):[\d.]+$", built.stdout, re.MULTILINE))
    assert images == {"api", "worker-cpu"} | ({"worker-gpu"} if gpu else set())
    assert built.stdout.count("nvidia.com/gpu: 1") == (2 if gpu else 0)
    assert built.stdout.count("name: touchstone-settings-") == 1 + len(manifests.of("Deployment"))


def test_compose_and_kubernetes_run_the_same_commands(ours: Services) -> None:
    commands = {name: container["command"] for name, container in manifests.containers().items()}
    assert commands == {name: service["command"] for name, service in ours.items()}
    for command in commands.values():
        console.parse(command)


def test_every_image_is_that_of_compose_in_the_version_of_the_project(
    ours: Services, targets: set[str], version: str
) -> None:
    for name, container in manifests.containers().items():
        target = container["image"].removeprefix("touchstone/")
        assert target == ours[name]["build"]["target"]
        assert target in targets
    for directory, used in (("base", {"api", "worker-cpu"}), ("migrate", {"api"}), ("gpu", {"worker-gpu"})):
        tags = {image["name"]: image["newTag"] for image in manifests.kustomization(directory)["images"]}
        assert tags == {f"touchstone/{target}": version for target in used}


def test_every_variable_is_a_setting_and_every_secret_is_asked_for() -> None:
    asked = set()
    for name, container in manifests.containers().items():
        assert {each["name"] for each in container["env"]} <= SETTINGS
        for each in container["env"]:
            if "valueFrom" in each:
                reference = each["valueFrom"]["secretKeyRef"]
                assert (reference["name"], reference["key"]) == ("touchstone", each["name"])
                asked.add((each["name"], not reference.get("optional", False)))
        if name != "migrate":
            assert container["envFrom"] == [{"configMapRef": {"name": "touchstone-settings"}}]
    assert set(manifests.literals()) <= SETTINGS
    example = (manifests.KUBERNETES / "secret.example.env").read_text()
    offered = re.findall(r"^(#?)([A-Z_]+)=(.*)$", example, re.MULTILINE)
    assert {(key, not sign) for sign, key, _ in offered} == asked
    assert not any(value for _, _, value in offered)
    assert not manifests.of("Secret")
    assert "secret.env" in (DEPLOY.parent / ".gitignore").read_text().split()


def test_settings_are_those_of_compose(ours: Services) -> None:
    settings = ours["worker"]["environment"]
    for name, value in manifests.literals().items():
        assert re.sub(r"\$\{\w+:-(.*)\}", r"\1", settings[name]) == value


def test_each_has_what_compose_needs_and_no_secret_more() -> None:
    found = {name: manifests.secrets(container) for name, container in manifests.containers().items()}
    both = {"DATABASE_URL", "REDIS_URL"}
    assert found == {
        "api": both,
        "worker": both,
        "worker-refit": both,
        "worker-maintenance": both,
        "beat": {"REDIS_URL"},
        "flower": {"REDIS_URL", "TOUCHSTONE_FLOWER_PASSWORD"},
        "migrate": {"DATABASE_URL", "TOUCHSTONE_DATABASE_DIRECT_URL"},
    }


def test_ports_are_those_that_are_listened_on() -> None:
    for name, container in manifests.containers().items():
        command = container["command"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        if "--port" in command:
            assert list(ports.values()) == [int(command[command.index("--port") + 1])], name
        elif "--lane" in command:
            assert ports == {"metrics": int(manifests.literals()["TOUCHSTONE_METRICS_PORT"])}, name
        else:
            assert ports == {}, name


def test_nobody_has_more_rights_than_needed(targets: set[str]) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    uid = int(re.findall(r"--uid (\d+)", dockerfile)[0])
    for template in manifests.workloads().values():
        pod = template["spec"]
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        (volume,) = pod["volumes"]
        assert volume["name"] == "tmp"
        assert megabytes(volume["emptyDir"]["sizeLimit"]) > 0


def test_services_set_no_variables() -> None:
    """A Service `touchstone-flower` would set TOUCHSTONE_FLOWER_PORT to tcp://..., which is a setting."""
    assert all(template["spec"]["enableServiceLinks"] is False for template in manifests.workloads().values())


def test_everything_is_bounded() -> None:
    for container in manifests.containers().values():
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert set(requests) == {"cpu", "memory", "ephemeral-storage"}
        assert set(limits) == {"memory", "ephemeral-storage"}
        assert all(megabytes(requests[each]) <= megabytes(limits[each]) for each in limits)


def test_probes_are_the_health_checks_of_the_images_and_of_compose(ours: Services) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (stamp,) = {tuple(yaml.safe_load(found)) for found in STAMP.findall(dockerfile)}
    containers = manifests.containers()
    assert {name for name, container in containers.items() if "livenessProbe" not in container} == UNPROBED
    assert {name for name, service in ours.items() if service.get("healthcheck", {}).get("disable")} == UNPROBED
    for name in set(containers) - UNPROBED:
        container = containers[name]
        first, later = container["startupProbe"], container["livenessProbe"]
        if name.startswith("worker"):
            assert tuple(first["exec"]["command"]) == tuple(later["exec"]["command"]) == stamp
        else:
            ports = {port["name"] for port in container["ports"]}
            assert {first["httpGet"]["port"], later["httpGet"]["port"]} <= ports
    assert containers["api"]["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert containers["api"]["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert "8000/livez" in dockerfile
    assert containers["flower"]["livenessProbe"]["httpGet"]["path"] == "/healthcheck"
    assert "5555/healthcheck" in str(ours["flower"]["healthcheck"])


def test_each_is_given_the_time_to_end_that_compose_gives(ours: Services) -> None:
    for name, template in manifests.workloads().items():
        pod, grace = template["spec"], ours[name].get("stop_grace_period")
        pause = 0
        if "lifecycle" in pod["containers"][0]:
            word, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            assert word == "sleep"
            pause = int(seconds)
        expected = None if grace is None else int(grace.removesuffix("s")) + pause
        assert pod.get("terminationGracePeriodSeconds") == expected


def test_selectors_find_pods() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in manifests.workloads().items()}
    assert all(set(each) == {"app.kubernetes.io/name", "app.kubernetes.io/component"} for each in labels.values())
    assert all(each["app.kubernetes.io/component"] == name for name, each in labels.items())
    for name, deployment in manifests.of("Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"] == deployment["metadata"]["labels"] == labels[name]
    for name, budget in manifests.of("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == labels[name]
    for name, service in manifests.of("Service").items():
        assert service["spec"]["selector"] == labels[name]
        ports = {port["name"] for port in manifests.containers()[name]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    for name in ("api", "worker"):
        spread = manifests.workloads()[name]["spec"]["topologySpreadConstraints"]
        assert [each["labelSelector"]["matchLabels"] for each in spread] == [labels[name]] * 2


def test_there_is_more_than_one_of_what_must_not_be_away_and_one_of_what_may() -> None:
    deployments = manifests.of("Deployment")
    (scaler,) = manifests.of("HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] == "touchstone-api"
    assert scaler["spec"]["minReplicas"] >= 2
    assert "replicas" not in deployments["api"]["spec"]  # the autoscaler's
    assert deployments["worker"]["spec"]["replicas"] >= 2
    assert set(manifests.of("PodDisruptionBudget")) == {"api", "worker"}
    assert deployments["beat"]["spec"]["replicas"] == 1
    assert deployments["beat"]["spec"]["strategy"] == {"type": "Recreate"}


def test_the_gpu_component_changes_workers_that_there_are() -> None:
    containers = manifests.containers()
    for each in manifests.kustomization("gpu")["patches"]:
        patch = yaml.safe_load((manifests.KUBERNETES / "gpu" / each["path"]).read_text())
        name = patch["metadata"]["name"].removeprefix("touchstone-")
        (container,) = patch["spec"]["template"]["spec"]["containers"]
        assert container["name"] == containers[name]["name"]
        assert container["image"] == "touchstone/worker-gpu"
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_nothing_but_the_api_proper_is_offered_outside() -> None:
    ingress = yaml.safe_load((manifests.KUBERNETES / "ingress.example.yaml").read_text())
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/v1"
    backend = path["backend"]["service"]
    service = manifests.of("Service")[backend["name"].removeprefix("touchstone-")]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
