"""Two replicas are replaced in turn by SIGTERM, over and over: callers that never retry get an answer or a handle."""

from collections import Counter
from pathlib import Path

import anyio
import pytest

from tests.children import ERAS, caller, request_of, result_in
from tests.replicas.fleet import CALLERS, TOKENS
from tests.replicas.scene import scene

pytestmark = pytest.mark.anyio

CALLS = 300
AT_ONCE = 12


async def test_a_rolling_restart_fails_no_call_and_starts_no_question_twice(tmp_path: Path) -> None:
    """Each replacement begins as soon as the one before has ended."""
    outcomes: Counter[str] = Counter()
    replaced = 0
    with anyio.fail_after(240):
        async with scene(tmp_path, seed=5, run_seconds=(1.0, 3.0)) as s:
            left = list(range(CALLS))

            async def keep_asking(name: str) -> None:
                async with caller(TOKENS[name]) as http:
                    while left:
                        number = left.pop()
                        request = request_of(ERAS[number % 2], "contit_ask", {"prompt": f"Question {number}?"})
                        found = result_in(await http.post(s.nginx.url, **request))["structuredContent"]
                        outcomes[found.get("error", found["status"])] += 1

            async def keep_replacing() -> None:
                nonlocal replaced
                while len(left) > AT_ONCE:
                    await s.replicas[replaced % 2].replace()
                    replaced += 1

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_replacing)
                for number in range(AT_ONCE):
                    tasks.start_soon(keep_asking, CALLERS[number % len(CALLERS)])
            passed_on = [line for line in s.nginx.passed if " status=503, 200 " in line]
    assert set(outcomes) <= {"completed", "in_progress"}, outcomes
    assert outcomes.total() == CALLS
    assert outcomes["completed"], outcomes
    assert replaced >= 4
    assert passed_on, "nginx asked the other replica where one refused a call"
    prompts = Counter(run.prompt for run in s.evidence.contit.record.runs)
    assert (len(prompts), prompts.total()) == (CALLS, CALLS)
    assert not s.evidence.logged_errors()
