"""The command line as a person meets it: real processes, what they print, and their exit codes."""

import os
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import contit_mcp
from contit_mcp.sandbox.faults import parse_fault
from tests.e2e.processes import COMMAND, clean_environment, on_port, sandbox_on_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Real processes need real time."""
    return "asyncio", {}


async def run(*arguments: str, **environment: str) -> "CompletedProcess[str]":
    """Run `contit-mcp` to its end."""
    with anyio.fail_after(90):
        done = await anyio.run_process([*COMMAND, *arguments], env=clean_environment(**environment), check=False)
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_the_demo_shows_tools_an_answer_and_a_follow_up_in_the_same_thread() -> None:
    """The whole path on this machine: sandbox, child process, real client (our choice)."""
    shown = await run("demo")
    assert shown.returncode == 0, shown.stderr
    assert "contit_ask, contit_start, contit_status, contit_response" in shown.stdout
    assert "12 published articles from March 2026" in shown.stdout
    assert "Weekly Update" in shown.stdout
    threads = [line.split("thread_id ")[1].split(",")[0] for line in shown.stdout.splitlines() if "thread_id " in line]
    assert len(threads) == 2
    assert len(set(threads)) == 1
    assert shown.stderr == ""


async def test_the_demo_is_not_led_astray_by_a_real_configuration() -> None:
    """It needs no account and touches none (our choice)."""
    shown = await run("demo", CONTIT_API_KEY="REAL", CONTIT_BASE_URL="https://contit.example")
    assert shown.returncode == 0


async def test_check_says_yes_when_contit_takes_the_credential() -> None:
    """404 with it and 401 without it, about a run that does not exist (documented statuses)."""
    async with sandbox_on_port() as (url, sandbox):
        checked = await run("check", CONTIT_BASE_URL=url, CONTIT_API_KEY="sandbox-key")
    assert checked.returncode == 0
    assert "the credential is good" in checked.stdout
    assert "sandbox-key" not in checked.stdout + checked.stderr
    assert [request.endpoint for request in sandbox.requests] == ["status", "status"]
    assert sandbox.runs == []


@pytest.mark.parametrize(
    ("key", "fault", "said"),
    [
        ("wrong", None, "401"),
        ("sandbox-forbidden", None, "ReadAccess"),
        ("sandbox-key", "500 on=status times=99", "500"),
        ("sandbox-key", "html on=status times=99", "not what its documentation promises"),
        ("sandbox-key", "redirect on=status times=99", "redirect"),
    ],
)
async def test_check_says_what_is_wrong(key: str, fault: str | None, said: str) -> None:
    """As it is, with exit code 1 (our choice)."""
    async with sandbox_on_port() as (url, sandbox):
        if fault:
            sandbox.add_fault(parse_fault(fault))
        checked = await run("check", CONTIT_BASE_URL=url, CONTIT_API_KEY=key)
    assert checked.returncode == 1
    assert said in checked.stdout
    assert "Traceback" not in checked.stderr


async def test_check_is_not_fooled_by_something_that_says_yes_to_everything() -> None:
    """A captive portal, or another service at that address (our choice)."""

    async def yes(request: Request) -> JSONResponse:
        return JSONResponse({"status": "completed"})

    async with on_port(Starlette(routes=[Route("/{path:path}", yes)])) as url:
        checked = await run("check", CONTIT_BASE_URL=url, CONTIT_API_KEY="k")
    assert checked.returncode == 1
    assert "something else answers" in checked.stdout


async def test_check_with_client_credentials_fetches_a_token() -> None:
    """OAuth2 from the token URL that is configured (documented)."""
    async with sandbox_on_port() as (url, sandbox):
        checked = await run(
            "check",
            CONTIT_BASE_URL=url,
            CONTIT_TOKEN_URL=f"{url}/connect/token",
            CONTIT_CLIENT_ID="sandbox-client",
            CONTIT_CLIENT_SECRET="sandbox-secret",
        )
    assert checked.returncode == 0, checked.stdout
    assert "token" in [request.endpoint for request in sandbox.requests]
    assert "sandbox-secret" not in checked.stdout + checked.stderr


async def test_check_names_the_proxy_without_its_password() -> None:
    """Where a request would go is what people look for first (our choice)."""
    proxy = "http://user:PASSWORD-MARKER@127.0.0.1:9"
    checked = await run("check", CONTIT_BASE_URL="https://contit.example", CONTIT_API_KEY="k", HTTPS_PROXY=proxy)
    assert checked.returncode == 1
    assert "Proxy: http://127.0.0.1:9" in checked.stdout
    assert "MARKER" not in checked.stdout + checked.stderr


async def test_the_sandbox_option_works_whatever_is_configured(tmp_path: Path) -> None:
    """A credential in the file or the environment has no business there (our choice)."""
    settings = tmp_path / "contit-mcp.toml"
    settings.write_text(f'api_key_file = "{tmp_path / "missing"}"\n', encoding="utf-8")
    with anyio.fail_after(30):
        done = await anyio.run_process(
            [*COMMAND, "stdio", "--sandbox", "--config", str(settings)],
            input=b"",
            env=clean_environment(CONTIT_CLIENT_ID="x"),
            check=False,
        )
    assert done.returncode == 0, done.stderr


async def test_a_demo_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    """No traceback (our choice)."""
    (tmp_path / "contit_mcp").mkdir()
    (tmp_path / "contit_mcp" / "__main__.py").write_text("raise SystemExit(3)", encoding="utf-8")
    (tmp_path / "contit_mcp" / "__init__.py").write_text("", encoding="utf-8")
    ours = str(Path(contit_mcp.__file__).parents[1])
    start = f"import sys; sys.path[0] = {ours!r}; from contit_mcp.cli.main import main; sys.argv[1:] = ['demo']; main()"
    with anyio.fail_after(60):
        done = await anyio.run_process([COMMAND[0], "-c", start], cwd=tmp_path, env=clean_environment(), check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-2:] == [
        "error: The demo could not talk to contit-mcp stdio.",
        "hint: Run contit-mcp check, and report it.",
    ]


async def test_check_without_a_credential_or_without_contit_says_so() -> None:
    """What to set, what to look at (our choice)."""
    nothing = await run("check")
    assert nothing.returncode == 1
    assert "Set CONTIT_API_KEY" in nothing.stdout
    nobody = await run("check", CONTIT_BASE_URL="http://127.0.0.1:9", CONTIT_API_KEY="k")
    assert nobody.returncode == 1
    assert "could not be reached" in nobody.stdout


async def test_a_key_file_and_a_settings_file_are_read(tmp_path: Path) -> None:
    """Command line over environment over file (our choice)."""
    key, settings = tmp_path / "key", tmp_path / "contit-mcp.toml"
    key.write_text("sandbox-key\n", encoding="utf-8")
    async with sandbox_on_port() as (url, _):
        settings.write_text(f'base_url = "{url}"\napi_key_file = "{key}"\n', encoding="utf-8")
        checked = await run("check", "--config", str(settings))
        assert checked.returncode == 0, checked.stdout
        overridden = await run("check", "--config", str(settings), CONTIT_BASE_URL="http://127.0.0.1:9")
        assert "http://127.0.0.1:9" in overridden.stdout
        again = await run("check", "--config", str(settings), "--base-url", url, CONTIT_BASE_URL="http://127.0.0.1:9")
        assert again.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nonsense",), 2, "No such command"),
        (("stdio", "--nonsense"), 2, "No such option"),
        (("check", "--config", "no-such-file.toml"), 1, "cannot be read"),
        (("stdio", "--wait-seconds", "0"), 1, "CONTIT_MCP_WAIT_SECONDS"),
        (("stdio", "--base-url", "http://contit.example"), 1, "must begin with https://"),
        (("sandbox", "--fault", "nonsense"), 2, "nonsense"),
    ],
)
async def test_wrong_usage_is_one_clear_error_without_a_traceback(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    """On stderr; stdout stays empty (our choice)."""
    failed = await run(*arguments)
    assert failed.returncode == code
    assert said in failed.stderr
    assert failed.stdout == ""
    assert "Traceback" not in failed.stderr


async def test_help_and_version() -> None:
    """They teach, and name the version (our choice)."""
    helped = await run("--help")
    assert helped.returncode == 0
    for command in ("stdio", "demo", "check", "sandbox"):
        assert command in helped.stdout
        assert (await run(command, "--help")).returncode == 0
    assert (await run("--version")).stdout.startswith("contit-mcp ")


async def test_the_sandbox_serves_on_its_port_with_its_faults(free_port: int) -> None:
    """And ends on Ctrl-C (our choice)."""
    arguments = ["sandbox", "--port", str(free_port), "--run-seconds", "0", "--fault", "503 on=status times=1"]
    with anyio.fail_after(60):
        async with await anyio.open_process([*COMMAND, *arguments], env=clean_environment()) as process:
            try:
                environment = {"CONTIT_BASE_URL": f"http://127.0.0.1:{free_port}", "CONTIT_API_KEY": "sandbox-key"}
                assert process.stderr is not None
                await process.stderr.receive()  # it says where it answers
                for _ in range(20):
                    checked = await run("check", **environment)
                    if checked.returncode == 0:
                        break
                assert checked.returncode == 0, checked.stdout
            finally:
                process.terminate()


@pytest.fixture
def free_port() -> int:
    """A loopback port that was free a moment ago."""
    import socket  # noqa: PLC0415 - one fixture's business

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are not on Windows")
async def test_on_a_terminal_it_prints_help_instead_of_waiting_for_a_host() -> None:
    """Nobody types JSON-RPC (our choice)."""
    import pty  # noqa: PLC0415 - not on Windows

    leader, follower = pty.openpty()
    try:
        with anyio.fail_after(30):
            done = await anyio.run_process(COMMAND, stdin=follower, env=clean_environment(), check=False)
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 0
    assert b"Commands" in done.stdout
