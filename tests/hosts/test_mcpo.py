"""mcpo: our tools as a REST interface, for Open WebUI."""

import json
from pathlib import Path

import httpx

from tests.children import free_port
from tests.hosts.bench import FOLLOW_UP, QUESTION
from tests.hosts.bridging import running
from tests.hosts.installing import python_packages
from tests.hosts.model_service.conversation import ids_in
from tests.hosts.trials import TOOLS, Trial, python_version


def test_its_callers_get_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it hands on the text alone, as a list."""
    port = free_port()
    command: list[str | Path] = [
        python_packages("mcpo") / "mcpo",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--api-key",
        "k",
    ]
    if trial.entry.command:
        command += ["--", trial.entry.command, "stdio"]
    else:
        command += ["--server-type", "streamable-http", "--header", json.dumps(trial.entry.headers)]
        command += ["--", trial.entry.url]
    with (
        running(trial, command, port=port, **trial.entry.environment) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer k"}, timeout=60) as http,
    ):
        paths = {path.strip("/") for path in http.get("/openapi.json").json()["paths"]}
        assert paths == TOOLS

        def both() -> list[str]:
            first = _call(http, {"prompt": QUESTION})
            return [first, _call(http, {"prompt": FOLLOW_UP, "thread_id": ids_in(first)["thread_id"]})]

        row = trial.follow("mcpo", both, version=python_version("mcpo", "mcpo"))
    assert row.saw == "text"


def _call(http: httpx.Client, arguments: dict[str, str]) -> str:
    answer = http.post("/contit_ask", json=arguments)
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json(), ensure_ascii=False)
