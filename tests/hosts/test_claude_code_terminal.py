"""Claude Code in a terminal, where it declares the Tasks extension: short questions, long ones, and both switches."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hosts.bench import bare_environment
from tests.hosts.installing import VERSIONS, npm_packages
from tests.hosts.model_service.conversation import ask
from tests.hosts.terminal import DOWN, ENTER, ESCAPE, Terminal, in_terminal
from tests.hosts.trials import Trial, holds

PACKAGE = "@anthropic-ai/claude-code"
KEY = "sk-made-up-key-of-the-tests-0123456789"
STILL_RUNNING = re.compile(r"MCP\s*task\s*still\s*running")
"""What it draws when its turn has ended and the task has not."""

BOTH = ["stdio", "http+token"]


@contextmanager
def claude(trial: Trial, *options: str, **environment: str) -> Iterator[Terminal]:
    """Claude Code in a terminal, ready for input, with every dialog of a first start already answered."""
    answered = {
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": VERSIONS[PACKAGE],
        "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {str(trial.home): {"hasTrustDialogAccepted": True}},
    }
    if not (trial.home / ".claude.json").exists():  # it does at a second start
        trial.write(".claude.json", answered)
        trial.install("claude-code")
    variables = bare_environment(
        trial.home,
        ANTHROPIC_BASE_URL=trial.bench.model_url,
        ANTHROPIC_API_KEY=KEY,
        DISABLE_AUTOUPDATER="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        ENABLE_TOOL_SEARCH="false",  # the stand-in does not search for tools
        **trial.token_variable,
        **environment,
    )
    del variables["NO_COLOR"]
    fixed = ("--model", "claude-sonnet-4-5", "--allowedTools", "mcp__contit-assistant__contit_ask")
    program = npm_packages("claude_code", PACKAGE) / "claude"
    with in_terminal([program, *fixed, *options], trial.home, variables) as terminal:
        terminal.wait_for(lambda: "❯" in terminal.drawn or "> " in terminal.drawn)
        yield terminal


def go(terminal: Terminal, trial: Trial, question: str) -> str:
    """Let the model ask as soon as it is offered our tools, which is after the prompt; what its call returns."""
    model = trial.bench.model
    model.play(ask(question))
    for attempt in range(10):
        terminal.press("go", ENTER)
        try:
            terminal.wait_for(lambda: model.offered, 5)
        except AssertionError:
            assert attempt < 9
        else:
            break
    terminal.wait_for(lambda: model.seen)
    return model.seen[0]


def methods(trial: Trial, known: int) -> list[str]:
    """The tool calls and task requests that the server has logged since then."""
    return [call["tool"] for call in trial.entry.calls()[known:]]


def has_answer(trial: Trial, shown: str) -> bool:
    """Whether the answer of the last run is in a text, whole."""
    return holds(shown, trial.bench.contit.runs[-1].turn.answer)


@pytest.mark.parametrize("trial", BOTH, indirect=True)
def test_a_quick_answer_is_the_call_s_own_result_and_prompts_and_resources_are_used(
    trial: Trial, question: str
) -> None:
    """It puts every task into the background, so a quick answer is no task. Its menus list prompts and resources."""
    known, model = len(trial.entry.calls()), trial.bench.model
    with claude(trial) as terminal:
        assert has_answer(trial, go(terminal, trial, question))
        assert methods(trial, known) == ["contit_ask"]
        terminal.press("/contit-assistant:drafts_waiting", ENTER, ENTER)  # the first one chooses it from the menu
        terminal.wait_for(lambda: "which content is still a draft" in model.said)
        terminal.press("@contit-assistant:contit://guide", " go on", ENTER)
        terminal.wait_for(lambda: "# How to ask Contit" in model.said)


@pytest.mark.parametrize("long_trial", BOTH, indirect=True)
def test_a_long_question_goes_on_in_the_background_and_its_result_is_used(long_trial: Trial, question: str) -> None:
    """The call returns at once, and the answer comes in a turn that the host begins by itself."""
    known, model = len(long_trial.entry.calls()), long_trial.bench.model
    with claude(long_trial) as terminal:
        first = go(terminal, long_trial, question)
        assert "moved to the background" in first
        assert not has_answer(long_trial, first)
        terminal.wait_for(lambda: "<task-notification>" in model.said)
        assert "<status>completed</status>" in model.said
        assert has_answer(long_trial, model.said)
    assert set(methods(long_trial, known)) == {"contit_ask", "tasks/get"}
    assert long_trial.entry.calls()[-1]["outcome"] == "completed"


def test_x_in_its_panel_cancels_the_task_twice_and_both_are_answered(long_trial: Trial, question: str) -> None:
    """It sends `tasks/cancel` twice within milliseconds."""
    known = len(long_trial.entry.calls())
    with claude(long_trial) as terminal:
        go(terminal, long_trial, question)
        terminal.wait_for(lambda: STILL_RUNNING.search(terminal.drawn))
        terminal.press(DOWN, ENTER, "x")
        terminal.wait_for(lambda: methods(long_trial, known).count("tasks/cancel") == 2)
        terminal.press(ESCAPE)
    cancelled = [call for call in long_trial.entry.calls()[known:] if call["tool"] == "tasks/cancel"]
    assert [call["outcome"] for call in cancelled] == ["acknowledged", "acknowledged"]


@pytest.mark.parametrize("long_trial", BOTH, indirect=True)
def test_a_resumed_session_gets_the_answer_of_its_task(long_trial: Trial, question: str) -> None:
    """The host leaves while the task runs, and polls the same id later; over stdio it asks another process."""
    model, session = long_trial.bench.model, str(uuid.uuid4())
    with claude(long_trial, "--session-id", session) as terminal:
        assert "moved to the background" in go(terminal, long_trial, question)
        terminal.wait_for(lambda: STILL_RUNNING.search(terminal.drawn))
    assert "<task-notification>" not in model.said
    known = len(long_trial.entry.calls())
    with claude(long_trial, "--resume", session) as terminal:
        terminal.wait_for(lambda: "<task-notification>" in model.said)
        assert has_answer(long_trial, model.said)
    assert set(methods(long_trial, known)) == {"tasks/get"}


@pytest.mark.parametrize(
    ("switch", "used"),
    [
        ("CLAUDE_CODE_DISABLE_MCP_TASK_BACKGROUND", {"contit_ask", "tasks/get"}),  # awaited in the foreground
        ("CLAUDE_CODE_DISABLE_MCP_TASKS", {"contit_ask"}),  # a plain call with progress
    ],
)
def test_with_either_switch_the_answer_is_the_call_s_own_result(
    switch: str, used: set[str], long_trial: Trial, question: str
) -> None:
    """As docs/hosts.md says."""
    known = len(long_trial.entry.calls())
    with claude(long_trial, **{switch: "1"}) as terminal:
        assert has_answer(long_trial, go(terminal, long_trial, question))
    assert set(methods(long_trial, known)) == used
