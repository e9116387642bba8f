"""What a model reads when Contit calls a run completed and its answer cannot be read."""

import httpx
import pytest

from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import call, connected

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize(
    "body",
    [b'{"response": null}', b"<html>Welcome</html>", b"{}", b'{"response": 12}'],
    ids=["null", "HTML", "{}", "12"],
)
async def test_it_is_an_error_that_leads_on_and_the_answer_comes_once_it_can_be_read(era: str, body: bytes) -> None:
    """Not "still running, do not ask again" for ever."""
    contit = EchoContit()
    contit.instead("response", *[httpx.Response(200, content=body)] * 200)
    async with connected(contit, era=era) as (client, _):
        structure, texts, is_error = await call(client, "contit_ask", {"prompt": "q"})
        ids = {name: structure[name] for name in ("thread_id", "run_id")}
        for tool in ("contit_response", "contit_status"):
            again, _, is_error_too = await call(client, tool, ids)
            assert (again["status"], again["error"], is_error_too) == ("failed", structure["error"], True)
        assert is_error
        assert "cannot be read" in texts[0]
        assert "still running" not in " ".join(texts).lower()
        assert structure["status"] == "failed"
        contit.replies.clear()
        structure, _, is_error = await call(client, "contit_response", ids)
    assert (structure["response"], is_error) == (answer_to("q"), False)
