"""Whether `contit-mcp check` says what keeps an HTTP server from telling its callers apart."""

from pathlib import Path

import anyio
import pytest

from contit_mcp.cli.check import check_callers
from contit_mcp.cli.findings import Finding, check_contit
from contit_mcp.config.sources import load_settings
from tests.children import sandbox_on_port

pytestmark = pytest.mark.anyio

TOKENS = f"alice:{'a' * 32},bob:{'b' * 32}"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the machine has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def check(mode: str, **environment: str) -> Finding:
    """The one finding of a mode; a failure has a hint, and nothing shows a token."""
    with anyio.fail_after(20):
        (finding,) = await check_callers(load_settings(environment={"CONTIT_MCP_AUTH": mode} | environment))
    assert (finding.hint is None) == (finding.good is not False), finding
    assert "a" * 32 not in f"{finding}"
    return finding


@pytest.mark.parametrize("mode", ["none", "caller"])
async def test_nothing_is_said_where_nothing_is_needed(mode: str) -> None:
    """Neither mode has tokens or an issuer."""
    assert await check_callers(load_settings(environment={"CONTIT_MCP_AUTH": mode})) == []


async def test_a_server_without_a_credential_is_well_where_callers_bring_theirs() -> None:
    """The container image is in this mode where nothing is set; its check failed before (measured)."""
    async with sandbox_on_port() as (url, _):
        given = load_settings(environment={"CONTIT_BASE_URL": url, "CONTIT_MCP_AUTH": "caller"})
        contit, credential = await check_contit(given)
    assert contit.good is True
    assert credential.good is None
    assert "each caller sends its own" in credential.verdict


async def test_tokens_are_counted_and_where_they_are_is_told(tmp_path: Path) -> None:
    """Their names are not secret, and could be thousands."""
    file = tmp_path / "tokens"
    file.write_text(TOKENS, encoding="utf-8")
    assert (
        await check("token", CONTIT_MCP_TOKENS_FILE=str(file))
    ).verdict == f"2 by name, their tokens in the file {file}"
    assert (await check("token", CONTIT_MCP_TOKENS=TOKENS)).verdict == "2 by name, their tokens set (hidden)"


@pytest.mark.parametrize("text", [None, "", f"alice {'a' * 32}"])
async def test_a_tokens_file_that_lets_nobody_in_is_a_failure(tmp_path: Path, text: str | None) -> None:
    """Missing, empty or malformed: the server answers 503 then, and the check said that all was well (measured)."""
    file = tmp_path / "tokens"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    finding = await check("token", CONTIT_MCP_TOKENS_FILE=str(file))
    assert finding.good is False
    assert str(file) in f"{finding}"


@pytest.mark.parametrize(("mode", "named"), [("token", "no tokens"), ("jwt", "CONTIT_MCP_JWT_ISSUER")])
async def test_what_the_mode_needs_and_is_not_set_is_a_failure(mode: str, named: str) -> None:
    """The server would not start."""
    finding = await check(mode)
    assert finding.good is False
    assert named in finding.verdict


@pytest.mark.parametrize("mode", ["none", "caller", "token"])
async def test_a_token_file_is_for_jwt_alone(tmp_path: Path, mode: str) -> None:
    """It would be judged by nobody."""
    settings = load_settings(environment={"CONTIT_MCP_AUTH": mode, "CONTIT_MCP_TOKENS": TOKENS})
    (finding,) = await check_callers(settings, tmp_path / "token")
    assert finding.good is False
    assert f"CONTIT_MCP_AUTH is {mode}" in finding.verdict
