"""Runs the official suite's scenarios about tasks against a server, and reads what they found."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.installing import node, npm_packages

SCENARIOS = (
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-mrtr-composition",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-required-task-error",
    "tasks-wire-fields",
)
LEFT_OUT = {
    "tasks-status-notifications": "the suite itself skips its one check, until it listens on subscriptions/listen",
}


def run_scenario(url: str, scenario: str) -> dict[str, str]:
    """Run one scenario; by check: its status, with what was wrong."""
    suite = npm_packages("conformance", "@modelcontextprotocol/conformance") / "conformance"
    with tempfile.TemporaryDirectory() as folder:
        line = [str(node() / "node"), str(suite.resolve()), "server", "--url", url]
        # As scenarios of an extension they are on no version's list; `--force` runs them nevertheless.
        line += ["--scenario", scenario, "--spec-version", "2026-07-28", "--force", "--output-dir", folder]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        files = list(Path(folder).glob("*/checks.json"))
        assert len(files) == 1, done.stdout + done.stderr
        checks = json.loads(files[0].read_text(encoding="utf-8"))
    return {check["id"]: f"{check['status']} {check.get('errorMessage') or ''}".strip() for check in checks}


@contextmanager
def tasks_server() -> Iterator[str]:
    """`tests.conformance.tasks_server` as a child; gives its URL."""
    line = [sys.executable, "-m", "tests.conformance.tasks_server"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            url: str = json.loads(process.stderr.readline())["url"]
            yield url
        finally:
            process.terminate()
