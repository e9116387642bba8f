"""supergateway: from stdio to HTTP, and from HTTP to stdio."""

import shlex
from pathlib import Path

from tests.children import free_port
from tests.hosts.bridging import call_through, running
from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version


def test_what_comes_through_it_is_whole(trial: Trial) -> None:
    """The way back to stdio waits for 60 s (measured), longer than we let a client of that name wait."""
    version, command = npm_version("supergateway"), npm_packages("supergateway", "supergateway") / "supergateway"
    if trial.entry.command:
        port = free_port()
        ours = f"{shlex.quote(str(trial.entry.command))} stdio"
        listening: list[str | Path] = [
            command,
            "--stdio",
            ours,
            "--outputTransport",
            "streamableHttp",
            "--stateful",
            "--port",
            str(port),
        ]
        with running(trial, listening, node(), port=port, **trial.entry.environment) as url:
            call_through(trial, "supergateway", command=None, url=f"{url}/mcp", version=version)
    else:
        args = [str(command), "--streamableHttp", trial.entry.url, "--logLevel", "none"]
        args += ["--oauth2Bearer", trial.entry.token] if trial.entry.token else []
        call_through(trial, "supergateway", command=str(node() / "node"), args=args, env={}, version=version)
