"""From a bare URL to an answer with the TypeScript SDK's own OAuth clients."""

import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.children import rpc
from tests.http.issuer import KeyPair, bearer
from tests.signin.stage import ROOT, Stage, node_program, run_program, stage

BROWSER = [sys.executable, "-m", "tests.signin.login"]
QUESTIONS = ["How many drafts are there?", "How many pages are there?"]


@pytest.mark.parametrize("sdk", ["2", "1"])
def test_without_a_required_scope_it_can_still_sign_in(tmp_path: Path, sdk: str) -> None:
    """It requests the advertised scopes. Without any the provider denies access."""
    with stage(tmp_path, settings={"CONTIT_MCP_JWT_SCOPES": ""}) as scene:
        given = {"sdk": sdk, "url": scene.url, "browser": BROWSER, "questions": QUESTIONS[:1]}
        found = run_program("typescript.mjs", tmp_path, given, stdin="go on\n", seconds=60)
    assert "draft" in found["answer"]


@pytest.mark.parametrize("sdk", ["2", "1"])
def test_it_registers_logs_in_and_renews_a_token_that_is_refused(scene: Stage, tmp_path: Path, sdk: str) -> None:
    """The key of its token is withdrawn between two questions."""
    given = {"sdk": sdk, "url": scene.url, "browser": BROWSER, "questions": QUESTIONS}
    command, log = [*node_program("typescript.mjs", tmp_path), json.dumps(given)], tmp_path / "stderr"
    with log.open("w") as file, Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=file, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, log.read_text()
            scene.provider.sign_with(KeyPair(f"for SDK {sdk}"))
            assert scene.server.post(rpc("ping"), **bearer(scene.provider.token())).status_code == 200
            tokens = scene.provider.order().count("POST /token 200")
            process.stdin.write("go on\n")
            process.stdin.flush()
            second = process.stdout.readline()
            assert second, log.read_text()
        finally:
            process.kill()
    found = [json.loads(line) for line in (first, second)]
    assert "draft" in found[0]["answer"]
    assert found[1]["answer"]
    assert [each["logins"] for each in found] == [1, 1]
    assert "contit:ask" in found[1]["granted"]
    assert scene.provider.order().count("POST /token 200") == tokens + 1
    assert scene.answered()[-1]["outcome"] == "completed"
