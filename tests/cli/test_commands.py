"""The command line as a person meets it: real processes, what they print, and their exit codes."""

import shlex
import sys
from pathlib import Path

import anyio
import pytest

import contit_mcp
from contit_mcp.cli.sandbox import KEEP_ALIVE_SECONDS
from contit_mcp.contit.transport import TransportPolicy
from tests.children import COMMAND, clean_environment
from tests.cli.command_line import environment, on_terminal, run

pytestmark = pytest.mark.anyio


async def test_the_demo_shows_tools_an_answer_and_a_follow_up_in_the_same_thread() -> None:
    shown = await run("demo", CONTIT_API_KEY="REAL", CONTIT_BASE_URL="https://contit.example")
    assert shown.returncode == 0, shown.stderr
    assert "contit_ask, contit_start, contit_status, contit_response" in shown.stdout
    assert "12 published articles from March 2026" in shown.stdout
    assert "Weekly Update" in shown.stdout
    threads = [line.split("thread_id ")[1].split(",")[0] for line in shown.stdout.splitlines() if "thread_id " in line]
    assert len(threads) == 2
    assert len(set(threads)) == 1
    assert shown.stderr == ""


async def test_the_sandbox_option_works_whatever_is_configured(tmp_path: Path) -> None:
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


async def test_a_demo_whose_reader_goes_ends_in_silence() -> None:
    """As `contit-mcp demo | head -1`."""
    command = f"{shlex.join(COMMAND)} demo | head -1"
    with anyio.fail_after(60):
        done = await anyio.run_process(["bash", "-c", command], env=environment(), check=False)
    assert done.stdout.startswith(b"1. A local Contit")
    assert done.stderr == b""


async def test_a_demo_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "contit_mcp").mkdir()
    (tmp_path / "contit_mcp" / "__main__.py").write_text("raise SystemExit(3)", encoding="utf-8")
    (tmp_path / "contit_mcp" / "__init__.py").write_text("", encoding="utf-8")
    ours = str(Path(contit_mcp.__file__).parents[1])
    start = f"import sys; sys.path[0] = {ours!r}; from contit_mcp.cli.main import main; sys.argv[1:] = ['demo']; main()"
    with anyio.fail_after(60):
        done = await anyio.run_process([COMMAND[0], "-c", start], cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-2:] == [
        "error: The demo could not talk to contit-mcp stdio.",
        "hint: Run contit-mcp check, and report it.",
    ]


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
    failed = await run(*arguments)
    assert failed.returncode == code
    assert said in failed.stderr
    assert failed.stdout == ""
    assert "Traceback" not in failed.stderr


async def test_help_and_version() -> None:
    helped = await run("--help")
    assert helped.returncode == 0
    assert "First steps:" in helped.stdout
    assert max(map(len, helped.stdout.splitlines())) < 80
    assert (await run("--version")).stdout == f"contit-mcp {contit_mcp.__version__}\n"


async def test_the_sandbox_serves_on_its_port_with_its_faults(free_port: int) -> None:
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


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not on Windows")
async def test_on_a_terminal_it_prints_help_instead_of_waiting_for_a_host() -> None:
    async with on_terminal() as terminal:
        pass
    assert terminal.process.returncode == 0
    assert "Commands:" in terminal.screen()


def test_a_local_contit_does_not_close_what_contit_mcp_still_keeps() -> None:
    """Else a question goes out on a connection that is being closed, and its fate is unknown (seen: the demo under load)."""
    assert TransportPolicy().keep_alive * 2 < KEEP_ALIVE_SECONDS
