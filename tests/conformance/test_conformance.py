"""What the specification requires of a server, asked by the official suite (its own words: "official conformance")."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.children import Served
from tests.conformance.suite import REVISIONS, run_suite, wrong

FIXTURES = (sys.executable, "-m", "tests.conformance.fixture_server")
FAILS_ON_PURPOSE = frozenset({"Tool %r raised an unexpected exception", "handler for %r raised"})
GENERIC = {
    "2025-11-25": (
        "server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "server-stateless", "tools-list", "resources-list", "prompts-list", "sep-2164-resource-not-found", "caching",
        "server-sse-multiple-streams", "dns-rebinding-protection", "http-header-validation",
    ),
}  # fmt: skip
"""Scenarios that ask nothing of a server but what every server has."""

each_revision = pytest.mark.parametrize("revision", REVISIONS)


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """`contit-mcp http --sandbox` as it is."""
    with Served({}, ("--sandbox",)) as server:
        yield server.url


@pytest.fixture(scope="module")
def fixtures() -> Iterator[str]:
    """The same with the suite's fixtures on it."""
    with Served({}, command=FIXTURES, errors_expected=FAILS_ON_PURPOSE) as server:
        yield server.url


@pytest.mark.xdist_group("real")
@each_revision
def test_our_server_passes_every_scenario_that_needs_no_fixture(real: str, revision: str, tmp_path: Path) -> None:
    """Documented: MCP; the suite's own list of what a revision requires."""
    found = run_suite(real, revision, tmp_path)
    generic = {name: found[name] for name in GENERIC[revision]}
    assert not wrong(generic, "real", revision)


@pytest.mark.xdist_group("fixtures")
@each_revision
def test_our_stack_passes_everything_else_with_the_suite_s_fixtures_on_it(
    fixtures: str, revision: str, tmp_path: Path
) -> None:
    """A check that fails, or a scenario without a check, is in expected.toml with its reason."""
    assert not wrong(run_suite(fixtures, revision, tmp_path), "fixtures", revision)
