"""The manifests of Kubernetes and compose: they are valid, fit the image, and fit together."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from contit_mcp import __version__
from contit_mcp.config.settings import Settings
from tests.deployment.manifests import (
    COMPOSE,
    DRAIN_SECONDS,
    GUIDE,
    KUBERNETES,
    PORT,
    USER_ID,
    compose,
    container_of,
    kubernetes_object,
    kubernetes_objects,
)
from tests.rules.tree import ROOT

OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()
NOT_BUILT_IN = {"PodMonitor", "HTTPRoute"}  # defined by the Prometheus operator and by the Gateway API
WORKLOADS = {"Deployment", "StatefulSet"}
PUBLIC_PATHS = {"/mcp", "/.well-known/oauth-protected-resource"}
LONGEST_WAIT = float(Settings.model_fields["max_wait_seconds"].default)

KUSTOMIZATION = (KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8")
APPLIED = yaml.safe_load(KUSTOMIZATION)
SECRETS: dict[str, list[str]] = {each["name"]: each["files"] for each in APPLIED["secretGenerator"]}
SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}


def pods() -> dict[str, dict[str, Any]]:
    return {it["metadata"]["name"]: it["spec"]["template"] for it in kubernetes_objects() if it["kind"] in WORKLOADS}


def settings() -> dict[str, str]:
    return {each["name"]: each["value"] for each in container_of(kubernetes_object("Deployment"))["env"]}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_is_valid_by_the_published_schemas(version: str) -> None:
    """Strictly: an unknown field is an error."""
    for found in kubernetes_objects():
        if found["kind"] not in NOT_BUILT_IN:
            kubernetes_validate.validate(found, version, strict=True)


def test_the_kustomization_names_or_offers_every_file_and_names_the_image_by_digest() -> None:
    """It offers optional files in comments. A tag can be moved, a digest cannot. The guide's tag is the version."""
    offered = re.findall(r"^  # - (\S+)", KUSTOMIZATION, re.MULTILINE)
    named = sorted([*APPLIED["resources"], *offered, "kustomization.yaml"])
    assert named == sorted(path.name for path in KUBERNETES.glob("*.yaml"))
    (image,) = APPLIED["images"]
    assert image["digest"].startswith("sha256:")
    assert set(re.findall(r"registry\.example\.com/contit-mcp:(\S+)", GUIDE)) == {__version__}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which brings kustomize")
def test_kustomize_puts_all_into_one_namespace_and_a_changed_secret_starts_new_pods(tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, folder, ignore=shutil.ignore_patterns("secrets"))
    (folder / "secrets").mkdir()
    for path in {path for each in SECRETS.values() for path in each}:
        (folder / path).write_text("a secret", encoding="utf-8")
    ended = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    made = list(yaml.safe_load_all(ended.stdout))
    workloads = [each for each in made if each["kind"] in WORKLOADS]
    volumes = [volume for each in workloads for volume in each["spec"]["template"]["spec"]["volumes"]]
    mounted = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    assert mounted == {each["metadata"]["name"] for each in made if each["kind"] == "Secret"}
    assert {name.rpartition("-")[0] for name in mounted} == SECRETS.keys(), "a name without a hash of its content"
    assert {each["metadata"].get("namespace") for each in made if each["kind"] != "Namespace"} == {"contit-mcp"}
    redis, ours = sorted(container_of(each)["image"] for each in workloads)
    assert redis == "redis:7.4-alpine"
    assert re.fullmatch(r"registry\.example\.com/contit-mcp@sha256:[0-9a-f]{64}", ours)


def test_every_setting_exists_and_every_secret_is_read_from_a_mounted_file() -> None:
    assert set(settings()) <= SETTINGS
    secret = {"CONTIT_API_KEY", "CONTIT_MCP_TOKENS", "CONTIT_MCP_SEAL_KEY", "CONTIT_MCP_STORE"}
    assert {name for name in settings() if name.removesuffix("_FILE") in secret} == {f"{name}_FILE" for name in secret}
    for name, template in pods().items():
        (container,) = template["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert not any("subPath" in mount for mount in container["volumeMounts"])
        (volume,) = (each["secret"] for each in template["spec"]["volumes"] if "secret" in each)
        keys = {Path(path).name for path in SECRETS[volume["secretName"]]}
        texts = [*container.get("args", []), *(each["value"] for each in container.get("env", []))]
        read = {text.removeprefix(f"{mounts['secrets']}/") for text in texts if text.startswith(mounts["secrets"])}
        assert read == keys, name


@pytest.mark.parametrize("name", ["contit-mcp", "contit-mcp-redis"])
def test_a_pod_has_no_privilege_that_it_does_not_need(name: str) -> None:
    """It meets the pod security standard `restricted`, and has a read-only root and no token of Kubernetes."""
    spec = pods()[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["enableServiceLinks"] is False, "a service called contit-mcp would write CONTIT_MCP_PORT=tcp://…"
    (container,) = spec["containers"]
    limits = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == limits
    assert container["resources"]["limits"]["memory"]
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])


def test_the_pod_fits_the_image_and_has_time_to_end() -> None:
    """SIGTERM closes the port at once, so the pod must leave the endpoints first; then the server drains."""
    template, container = pods()["contit-mcp"], container_of(kubernetes_object("Deployment"))
    spec = template["spec"]
    assert {spec["securityContext"][name] for name in ("runAsUser", "runAsGroup")} == {USER_ID}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": PORT, "metrics": int(settings()["CONTIT_MCP_METRICS_PORT"])}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    alive, ready = {"path": "/healthz", "port": "http"}, {"path": "/readyz", "port": "http"}
    assert probes == {"startup": alive, "liveness": alive, "readiness": ready}, "an unready replica must not be killed"
    assert "annotations" not in template["metadata"], "scraped twice"
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert int(seconds) >= 3
    assert spec["terminationGracePeriodSeconds"] > int(seconds) + DRAIN_SECONDS


def test_every_selector_port_and_target_exists() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods().items()}
    deployments = {each["metadata"]["name"]: each for each in kubernetes_objects() if each["kind"] in WORKLOADS}
    for each in kubernetes_objects():
        spec, name = each.get("spec", {}), each["metadata"]["name"]
        ports = {port["name"] for port in container_of(deployments[name])["ports"]} if name in deployments else set()
        match each["kind"]:
            case "Service":
                assert spec["selector"] == labels[name]
                assert {port["targetPort"] for port in spec["ports"]} <= ports
                assert "metrics" not in {port["targetPort"] for port in spec["ports"]}, "the outside would reach it"
            case "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "PodMonitor":
                assert spec["selector"]["matchLabels"] == labels[name]
            case "NetworkPolicy":
                assert spec["podSelector"]["matchLabels"] == labels[name]
                named = [port["port"] for rule in spec["ingress"] for port in rule["ports"]]
                assert set(named) <= ports
            case "HorizontalPodAutoscaler":
                assert spec["scaleTargetRef"]["name"] in deployments
                assert spec["minReplicas"] >= 2
                assert "replicas" not in deployments[name]["spec"], "each apply would undo the autoscaler"
            case "HTTPRoute":
                (rule,) = spec["rules"]
                assert {match["path"]["value"] for match in rule["matches"]} == PUBLIC_PATHS
                assert float(rule["timeouts"]["request"].removesuffix("s")) > LONGEST_WAIT
                assert rule["backendRefs"] == [{"name": "contit-mcp", "port": 80}]
            case "Ingress":
                (rule,) = spec["rules"]
                assert {path["path"] for path in rule["http"]["paths"]} == PUBLIC_PATHS
                timeout = each["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]
                assert float(timeout) > LONGEST_WAIT
    assert deployments["contit-mcp-redis"]["spec"]["volumeClaimTemplates"], "a restart would lose all runs"
    for spread in deployments["contit-mcp"]["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == labels["contit-mcp"]


# --- compose

REPLICAS = ("replica-1", "replica-2")


def addresses() -> dict[str, str]:
    networks = {name: service["networks"] for name, service in compose()["services"].items()}
    return {name: each["inside"]["ipv4_address"] for name, each in networks.items() if isinstance(each, dict)}


def test_the_compose_file_is_valid_and_its_fixed_addresses_are_reserved() -> None:
    """They are outside the range from which Docker gives addresses to other containers."""
    found = compose()
    assert len(PyCompose.from_json(json.dumps(found))) == len(found["services"])
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{COMPOSE.parent.relative_to(ROOT).as_posix()}/secrets/" in ignored
    (network,) = found["networks"]["inside"]["ipam"]["config"]
    assert network == {"subnet": "172.28.8.0/24", "ip_range": "172.28.8.128/25"}
    fixed = addresses()
    assert len(set(fixed.values())) == len(fixed) == 3
    assert all(re.fullmatch(r"172\.28\.8\.([2-9]|\d\d|1[01]\d|12[0-7])", address) for address in fixed.values())


@pytest.mark.parametrize("name", [*REPLICAS, "nginx", "redis"])
def test_a_container_has_no_privilege_that_it_does_not_need_and_a_replica_fits_the_image(name: str) -> None:
    service = compose()["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    if name in REPLICAS:
        assert (COMPOSE.parent / service["build"] / "Dockerfile").exists()
        assert set(service["environment"]) <= SETTINGS
        mounted = {value for value in service["environment"].values() if value.startswith("/run/")}
        assert mounted == {f"/run/secrets/{name}" for name in service["secrets"]}
        assert service["healthcheck"]["test"] == ["CMD", "/usr/local/bin/contit-mcp", "healthcheck"]
        assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS
        assert service["environment"]["CONTIT_MCP_TRUSTED_PROXIES"] == addresses()["nginx"]
        assert "ports" not in service, "callers come through nginx, and metrics stay inside"


def test_nginx_has_the_shipped_example_with_these_replicas_in_it(tmp_path: Path) -> None:
    """The command of the container writes it; tests/replicas runs the example in a real nginx."""
    service = compose()["services"]["nginx"]
    *shell, command = service["command"]
    assert shell == ["sh", "-c"]
    script, _, rest = command.partition(" && ")
    assert rest == "exec nginx -g 'daemon off;'"
    made = tmp_path / "default.conf"
    source = COMPOSE.parent / service["volumes"][0].partition(":")[0]
    script = script.replace("/contit-mcp.conf", str(source)).replace("/etc/nginx/conf.d/default.conf", str(made))
    subprocess.run(["sh", "-c", script], check=True)
    text = made.read_text(encoding="utf-8")
    upstream = re.findall(r"upstream contit_mcp \{(.*?)\}", text, re.DOTALL)[0]
    servers = re.findall(r"^\s*server (\S+)[ ;]", upstream, re.MULTILINE)
    assert servers == [f"{addresses()[name]}:{PORT}" for name in REPLICAS]
    (published,) = service["ports"]
    assert re.search(rf"^\s*listen {published.rpartition(':')[2]};", text, re.MULTILINE)
