"""mcp-remote: a server over HTTP for hosts that know stdio alone."""

import pytest

from tests.hosts.bridging import call_through
from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version


@pytest.mark.parametrize("trial", ["http", "http+token"], indirect=True)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_what_comes_through_it_is_whole(trial: Trial, mode: str) -> None:
    """Both eras pass it (measured)."""
    args = [str(npm_packages("mcp_remote", "mcp-remote") / "mcp-remote"), trial.entry.url]
    args += ["--allow-http", "--transport", "http-only"]
    args += ["--header", "Authorization:${AUTH}"] if trial.entry.token else []
    env = {"AUTH": f"Bearer {trial.entry.token}", "MCP_REMOTE_CONFIG_DIR": str(trial.home / "auth")}
    command = str(node() / "node")
    version = f"{npm_version('mcp-remote')} {mode}"
    call_through(trial, "mcp-remote", command=command, args=args, env=env, mode=mode, version=version)
