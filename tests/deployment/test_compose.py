"""The compose file is one that compose takes, fits the image, and puts the shipped nginx example before its replicas."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from compose_spec import PyCompose

from contit_mcp.config.settings import Settings
from tests.deployment.manifests import COMPOSE, DRAIN_SECONDS, PORT, compose
from tests.rules.tree import ROOT

SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}
REPLICAS = ("replica-1", "replica-2")


def addresses() -> dict[str, str]:
    return {
        name: service["networks"]["inside"]["ipv4_address"]
        for name, service in compose()["services"].items()
        if isinstance(service["networks"], dict)
    }


def test_it_is_a_compose_file() -> None:
    found = compose()
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{COMPOSE.parent.relative_to(ROOT).as_posix()}/secrets/" in ignored
    assert len(PyCompose.from_json(json.dumps(found))) == len(found["services"])
    found["services"]["nginx"]["read_onli"] = True
    with pytest.raises(ValueError, match="read_onli"):
        PyCompose.from_json(json.dumps(found))


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_is_the_image_as_it_is(name: str) -> None:
    service = compose()["services"][name]
    assert (COMPOSE.parent / service["build"] / "Dockerfile").exists()
    assert set(service["environment"]) <= SETTINGS
    mounted = {value for value in service["environment"].values() if value.startswith("/run/")}
    assert mounted == {f"/run/secrets/{name}" for name in service["secrets"]}
    assert service["healthcheck"]["test"] == ["CMD", "/usr/local/bin/contit-mcp", "healthcheck"]
    assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS
    assert service["environment"]["CONTIT_MCP_TRUSTED_PROXIES"] == addresses()["nginx"]
    assert "ports" not in service, "callers come through nginx, and metrics stay inside"


@pytest.mark.parametrize("name", ["replica-1", "replica-2", "nginx", "redis"])
def test_no_container_may_do_what_it_need_not(name: str) -> None:
    service = compose()["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]


def test_fixed_addresses_are_none_that_others_can_get() -> None:
    """Docker would give them to whichever container comes first."""
    (network,) = compose()["networks"]["inside"]["ipam"]["config"]
    assert network == {"subnet": "172.28.8.0/24", "ip_range": "172.28.8.128/25"}
    fixed = addresses()
    assert len(set(fixed.values())) == len(fixed) == 3
    assert all(re.fullmatch(r"172\.28\.8\.([2-9]|\d\d|1[01]\d|12[0-7])", address) for address in fixed.values())


def test_nginx_has_the_shipped_example_with_these_replicas_in_it(tmp_path: Path) -> None:
    """The container's own command makes it; nginx, where it is installed, takes it."""
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
    if nginx := shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        whole = tmp_path / "nginx.conf"
        made.write_text(text.replace("/var/log/nginx", str(tmp_path)), encoding="utf-8")
        whole.write_text(f"pid {tmp_path}/pid; events {{}} http {{ include {made}; }}", encoding="utf-8")
        check = [nginx, "-t", "-e", "stderr", "-c", str(whole)]
        ended = subprocess.run(check, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
