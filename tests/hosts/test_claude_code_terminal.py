"""Claude Code in a terminal, where it declares the Tasks extension: short questions, long ones, and both switches."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import TimeoutExpired

import pytest

from tests.cli.command_line import Terminal, in_terminal
from tests.hosts.bench import Trial, bare_environment, holds
from tests.hosts.installing import VERSIONS, npm_packages
from tests.hosts.model_service.conversation import ask

PACKAGE = "@anthropic-ai/claude-code"
KEY = "sk-made-up-key-of-the-tests-0123456789"
DOWN, ENTER, ESCAPE, INTERRUPT = "\x1b[B", "\r", "\x1b", "\x03"
MOVES_RIGHT = re.compile(r"\x1b\[\d*C")
CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")


def drawn(terminal: Terminal) -> str:
    """Return everything that Claude Code has drawn so far, without colours and positions."""
    return CONTROL.sub("", MOVES_RIGHT.sub(" ", terminal.written))


@contextmanager
def claude(trial: Trial, *options: str, **environment: str) -> Iterator[Terminal]:
    """Run Claude Code in a terminal, with the dialogs of a first start answered. At the end, leave it as a user does."""
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
    model = {"ANTHROPIC_BASE_URL": trial.bench.model_url, "ANTHROPIC_API_KEY": KEY}
    model["ENABLE_TOOL_SEARCH"] = "false"  # the stand-in does not search for tools
    quiet = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    more = model | quiet | trial.token_variable | environment
    variables = bare_environment(trial.home, TERM="xterm-256color", **more)
    del variables["NO_COLOR"]
    fixed = ("--model", "claude-sonnet-4-5", "--allowedTools", "mcp__contit-assistant__contit_ask")
    program = npm_packages("claude_code", PACKAGE) / "claude"
    command = [str(program), *fixed, *options]
    with in_terminal(command, variables, trial.home, size=(45, 130), seconds=120) as terminal:
        terminal.wait_for(lambda: "❯" in drawn(terminal) or "> " in drawn(terminal))
        yield terminal
        for keys in [("/exit", ENTER), (INTERRUPT, INTERRUPT)] * 6:  # keys in the middle of a turn may be lost
            terminal.press(*keys)
            with suppress(TimeoutExpired):
                terminal.process.wait(5)
                break


def go(terminal: Terminal, trial: Trial, question: str) -> str:
    """Let the model ask as soon as it is offered our tools, which is after the prompt; return what its call returns."""
    model = trial.bench.model
    model.play(ask(question))
    for _ in range(10):
        terminal.press("go", ENTER)
        with suppress(AssertionError):
            terminal.wait_for(lambda: model.offered, 5)
            break
    terminal.wait_for(lambda: model.seen)
    return model.seen[0]


def wait_for_its_turn_to_end(terminal: Terminal) -> None:
    """Wait until Claude Code has ended its turn while the task goes on."""
    terminal.wait_for(lambda: re.search(r"MCP\s*task\s*still\s*running", drawn(terminal)))


def methods(trial: Trial, known: int) -> list[str]:
    """Return the tool calls and task requests that the server has logged, without the first `known` ones."""
    return [call["tool"] for call in trial.entry.calls()[known:]]


def has_answer(trial: Trial, shown: str) -> bool:
    """Return whether the whole answer of the last run is in a text."""
    return holds(shown, trial.bench.contit.runs[-1].turn.answer)


@pytest.mark.parametrize("trial", ["stdio", "http+token"], indirect=True)
def test_a_quick_answer_is_the_call_s_own_result_and_prompts_and_resources_work(trial: Trial, question: str) -> None:
    """Claude Code puts every task into the background, so a quick answer is no task."""
    known, model = len(trial.entry.calls()), trial.bench.model
    with claude(trial) as terminal:
        assert has_answer(trial, go(terminal, trial, question))
        assert methods(trial, known) == ["contit_ask"]
        terminal.press("/contit-assistant:drafts_waiting", ENTER, ENTER)  # the first one chooses it from the menu
        terminal.wait_for(lambda: "which content is still a draft" in model.said)
        terminal.press("@contit-assistant:contit://guide", " go on", ENTER)
        terminal.wait_for(lambda: "# How to ask Contit" in model.said)


@pytest.mark.parametrize("long_trial", ["stdio", "http+token"], indirect=True)
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


def test_both_requests_that_cancel_a_task_are_answered(long_trial: Trial, question: str) -> None:
    """For the key x in its panel, Claude Code sends `tasks/cancel` twice within milliseconds."""
    known = len(long_trial.entry.calls())
    with claude(long_trial) as terminal:
        go(terminal, long_trial, question)
        wait_for_its_turn_to_end(terminal)
        terminal.press(DOWN, ENTER, "x")
        terminal.wait_for(lambda: methods(long_trial, known).count("tasks/cancel") == 2)
        terminal.press(ESCAPE)
    cancelled = [call for call in long_trial.entry.calls()[known:] if call["tool"] == "tasks/cancel"]
    assert [call["outcome"] for call in cancelled] == ["acknowledged", "acknowledged"]


@pytest.mark.parametrize("long_trial", ["stdio", "http+token"], indirect=True)
def test_a_resumed_session_gets_the_answer_of_its_task(long_trial: Trial, question: str) -> None:
    """Claude Code ends while the task runs, and polls the same id later; over stdio it asks another process."""
    model, session = long_trial.bench.model, str(uuid.uuid4())
    with claude(long_trial, "--session-id", session) as terminal:
        assert "moved to the background" in go(terminal, long_trial, question)
        wait_for_its_turn_to_end(terminal)
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
