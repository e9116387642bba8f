"""mcp-proxy (of PyPI): from stdio to HTTP, and from HTTP to stdio."""

from pathlib import Path

from tests.children import free_port
from tests.hosts.bridging import call_through, running
from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_what_comes_through_it_is_whole(trial: Trial) -> None:
    """Measured: it speaks the older era on both sides."""
    version, command = python_version("mcp_proxy", "mcp-proxy"), python_packages("mcp_proxy") / "mcp-proxy"
    if trial.entry.command:
        port = free_port()
        listening: list[str | Path] = [command, "--port", str(port), "--host", "127.0.0.1", "--pass-environment", "--"]
        with running(trial, [*listening, trial.entry.command, "stdio"], port=port, **trial.entry.environment) as url:
            call_through(trial, "mcp-proxy", command=None, url=f"{url}/mcp", version=version)
    else:
        args = ["--transport", "streamablehttp"]
        args += ["-H", "Authorization", f"Bearer {trial.entry.token}"] if trial.entry.token else []
        args += [trial.entry.url]
        call_through(trial, "mcp-proxy", command=str(command), args=args, env={}, version=version)
