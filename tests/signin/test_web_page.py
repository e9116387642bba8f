"""A web page as a host, in a real browser: from a bare URL to an answer, and what pages of other origins get."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.children import in_thread
from tests.signin.stage import chromium, node_program, packages, run_program, stage


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve the same page from two origins; yield their URLs."""
    folder = tmp_path_factory.mktemp("page")
    node_program("page.mjs", folder)
    esbuild = packages() / ".bin" / "esbuild"
    bundled = subprocess.run(
        [esbuild, "page.mjs", "--bundle", "--format=esm", "--log-level=error"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip

    async def page(_: object) -> Response:
        return HTMLResponse('<!doctype html><body><script type="module" src="/page.js"></script>')

    async def script(_: object) -> Response:
        return Response(bundled, media_type="text/javascript")

    routes = [Route("/", page), Route("/page.js", script)]
    with in_thread(Starlette(routes=routes)) as one, in_thread(Starlette(routes=routes)) as other:
        yield one, other


def test_only_a_page_of_an_allowed_origin_gets_an_answer(tmp_path: Path, pages: tuple[str, str]) -> None:
    """The first reads the challenge, the metadata and the stream. The other reads the metadata, which is public."""
    allowed, other = pages
    with stage(tmp_path, settings={"CONTIT_MCP_ALLOWED_ORIGINS": allowed}) as scene:

        def visit(page: str, *, login: bool) -> Any:
            given = {"page": f"{page}/?server={scene.url}", "login": login, "chromium": chromium()}
            return run_program("chromium.mjs", tmp_path / "chromium", given)

        assert "draft" in visit(allowed, login=True)["answer"]
        answered = len(scene.answered())
        refused = visit(other, login=False)
        assert refused["issuer"] == scene.provider.issuer
        assert "Failed to fetch" in refused["error"]
        assert len(scene.answered()) == answered
