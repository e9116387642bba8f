"""nginx with the shipped example, on loopback, in front of the replicas of a test."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.children import free_port
from tests.rules.tree import ROOT

EXAMPLE = ROOT / "configs" / "nginx" / "contit-mcp.conf"

_MAIN = """
daemon off;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{ worker_connections 2048; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/contit-mcp.conf;
}}
"""


def adapted(text: str, *, replicas: Sequence[int], port: int, folder: Path) -> str:
    """Return the example as an operator adapts it: other servers, another port, another folder for the log."""
    server = re.compile(r"^( +server )\S+:\d+( max_fails.*)$", re.MULTILINE)
    examples = server.findall(text)
    assert len(examples) == 2, "the example shows two replicas"
    ours = "\n".join(f"{examples[0][0]}127.0.0.1:{replica}{examples[0][1]}" for replica in replicas)
    text = server.sub("", text, count=1)
    text = server.sub(lambda _: ours, text)
    for before, after in (("listen 80;", f"listen 127.0.0.1:{port};"), ("/var/log/nginx", str(folder))):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@dataclass
class Nginx:
    """One nginx, which runs inside `running_nginx`."""

    folder: Path
    replicas: Sequence[int]
    port: int = field(default_factory=free_port)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    @property
    def passed(self) -> list[str]:
        """The lines of the access log."""
        return (self.folder / "access.log").read_text().splitlines()

    def write(self) -> Path:
        main = _MAIN.format(folder=self.folder)
        if os.geteuid() == 0:
            main = "user root;\n" + main  # otherwise its workers could not enter the folder
        (self.folder / "nginx.conf").write_text(main)
        example = adapted(EXAMPLE.read_text(), replicas=self.replicas, port=self.port, folder=self.folder)
        (self.folder / "contit-mcp.conf").write_text(example)
        return self.folder / "nginx.conf"


def nginx_program() -> str:
    """Return the path of nginx. Without it the test is skipped, but in CI it fails."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("nginx")
        pytest.skip(reason="needs nginx (Debian: apt-get install nginx-light)")
    return program


@contextmanager
def running_nginx(replicas: Sequence[int], folder: Path) -> Iterator[Nginx]:
    program = nginx_program()
    folder.mkdir()
    nginx = Nginx(folder, replicas)
    log = folder / "error.log"
    process = subprocess.Popen([program, "-p", str(folder), "-e", str(log), "-c", str(nginx.write())])
    try:
        until = time.monotonic() + 20
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield nginx
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
