"""Settings that would serve strangers, or could not work: the server does not start, and says what to set."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contit_mcp.cli.main import main
from tests.children import clean_environment

KEY = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory", "CONTIT_MCP_PORT": "0"}
TOKENS = "ada:" + "a" * 24
SEAL = {"CONTIT_MCP_SEAL_KEY": "s" * 32}
TOKEN_MODE = KEY | {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": TOKENS}
JWT_MODE = KEY | SEAL | {
    "CONTIT_MCP_AUTH": "jwt",
    "CONTIT_MCP_JWT_ISSUER": "https://issuer.example",
    "CONTIT_MCP_PUBLIC_URL": "https://x.example/mcp",
}  # fmt: skip


LINES = re.compile(r"error: [^\n]+\nhint: [^\n]+\n")


def without(environment: dict[str, str], name: str) -> dict[str, str]:
    """All but one."""
    return {key: value for key, value in environment.items() if key != name}


def refused(environment: dict[str, str], *arguments: str) -> str:
    """What it says when it does not start: one line of error, one of hint, nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "contit_mcp", "http", *arguments],
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert not done.stdout
    assert LINES.fullmatch(done.stderr), done.stderr
    return done.stderr


STARTS: dict[str, tuple[dict[str, str], str]] = {
    "all addresses, nobody asked who calls": (KEY | {"CONTIT_MCP_HOST": "0.0.0.0"}, "CONTIT_MCP_AUTH"),
    "all addresses of IPv6": (KEY | {"CONTIT_MCP_HOST": "::"}, "CONTIT_MCP_AUTH"),
    "another address": (KEY | {"CONTIT_MCP_HOST": "192.0.2.1"}, "CONTIT_MCP_AUTH"),
    "a name that looks like loopback": (KEY | {"CONTIT_MCP_HOST": "127.evil.example"}, "CONTIT_MCP_AUTH"),
    "tokens that nothing asks for": (KEY | {"CONTIT_MCP_TOKENS": "ada:" + "t" * 20}, "CONTIT_MCP_AUTH"),
    "token without tokens": (KEY | SEAL | {"CONTIT_MCP_AUTH": "token"}, "CONTIT_MCP_TOKENS"),
    "token with a short one": (TOKEN_MODE | SEAL | {"CONTIT_MCP_TOKENS": "ada:short"}, "CONTIT_MCP_TOKENS"),
    "token with a broken file": (
        without(TOKEN_MODE, "CONTIT_MCP_TOKENS") | SEAL | {"CONTIT_MCP_TOKENS_FILE": "/nowhere/tokens"},
        "CONTIT_MCP_TOKENS_FILE",
    ),
    "token without a seal key": (TOKEN_MODE, "CONTIT_MCP_SEAL_KEY"),
    "jwt without a seal key": (without(JWT_MODE, "CONTIT_MCP_SEAL_KEY"), "CONTIT_MCP_SEAL_KEY"),
    "jwt without an issuer": (without(JWT_MODE, "CONTIT_MCP_JWT_ISSUER"), "CONTIT_MCP_JWT_ISSUER"),
    "jwt without its own URL": (without(JWT_MODE, "CONTIT_MCP_PUBLIC_URL"), "CONTIT_MCP_PUBLIC_URL"),
    "jwt of an issuer without TLS": (
        JWT_MODE | {"CONTIT_MCP_JWT_ISSUER": "http://issuer.example"},
        "CONTIT_MCP_JWT_ISSUER",
    ),
    "Redis without a seal key": (KEY | {"CONTIT_MCP_STORE": "redis://localhost:1/0"}, "CONTIT_MCP_SEAL_KEY"),
    "a short seal key": (TOKEN_MODE | {"CONTIT_MCP_SEAL_KEY": "short-seal-key"}, "CONTIT_MCP_SEAL_KEY"),
    "a short second seal key": (
        TOKEN_MODE | {"CONTIT_MCP_SEAL_KEY": "s" * 32 + ",short-seal-key"},
        "CONTIT_MCP_SEAL_KEY",
    ),
    "half of TLS": (KEY | {"CONTIT_MCP_TLS_CERT_FILE": "/nowhere/cert.pem"}, "CONTIT_MCP_TLS_KEY_FILE"),
    "the other half": (KEY | {"CONTIT_MCP_TLS_KEY_FILE": "/nowhere/key.pem"}, "CONTIT_MCP_TLS_CERT_FILE"),
    "no credential": (without(KEY, "CONTIT_API_KEY"), "CONTIT_API_KEY"),
    "no credential, with tokens": (without(TOKEN_MODE | SEAL, "CONTIT_API_KEY"), "CONTIT_API_KEY"),
    "a mode that there is not": (KEY | {"CONTIT_MCP_AUTH": "basic"}, "CONTIT_MCP_AUTH"),
    "an address of another machine": (TOKEN_MODE | SEAL | {"CONTIT_MCP_HOST": "192.0.2.1"}, "CONTIT_MCP_HOST"),
    "a name without an address": (TOKEN_MODE | SEAL | {"CONTIT_MCP_HOST": "nowhere.invalid"}, "CONTIT_MCP_HOST"),
    **{
        f"a proxy at {text}": (KEY | {"CONTIT_MCP_TRUSTED_PROXIES": text}, "CONTIT_MCP_TRUSTED_PROXIES")
        for text in ("10.0.0.0/99", "10.0.0.1/8", "proxy.example", "*")
    },
    **{
        f"pages of {text}": (KEY | {"CONTIT_MCP_ALLOWED_ORIGINS": text}, "CONTIT_MCP_ALLOWED_ORIGINS")
        for text in ("*", "app.example", "https://app.example/", "https://app.example/page", "https://*.example")
    },
}  # fmt: skip


@pytest.mark.parametrize("case", STARTS)
def test_what_cannot_be_served_safely_does_not_start(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of error and one of hint, that name what to set, and quote no secret.

    In this process, since there are many; those below are processes of their own.
    """
    environment, name = STARTS[case]
    monkeypatch.setattr("os.environ", clean_environment(**environment))
    monkeypatch.setattr("sys.argv", ["contit-mcp", "http"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    stdout, said = capsys.readouterr()
    assert not stdout
    assert LINES.fullmatch(said), said
    assert name in said
    assert "short-seal-key" not in said
    assert "a" * 24 not in said


def test_a_port_that_is_taken_is_said_to_be() -> None:
    """With the setting that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(without(KEY, "CONTIT_MCP_PORT"), "--port", str(taken.getsockname()[1]))
    assert "CONTIT_MCP_PORT" in said


@pytest.mark.parametrize("there", [True, False])
def test_tls_files_that_are_none_are_said_to_be(tmp_path: Path, there: bool) -> None:
    """Or are not there."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file in files if there else ():
        file.write_text("no PEM")
    tls = {"CONTIT_MCP_TLS_CERT_FILE": str(files[0]), "CONTIT_MCP_TLS_KEY_FILE": str(files[1])}
    assert "CONTIT_MCP_TLS_KEY_FILE" in refused(KEY | tls)
