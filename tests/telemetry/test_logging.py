"""The log keeps known scalar fields, truncates each, and never contains a prompt, an answer or an exception's text."""

import ast
import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.telemetry.logging import FIELDS, configure_logging, get_logger
from tests.rules.tree import modules, place

MARKER = "the-words-of-somebody"
log = get_logger("contit_mcp.test")


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Return the log's stream, once as JSON and once as on a terminal."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=request.param == "json")
    yield stream


@pytest.fixture
def lines() -> io.StringIO:
    """Return the log's stream, as JSON."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=True)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    """Return the one record in `stream`."""
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


def test_an_event_is_one_json_line_of_its_fields(lines: io.StringIO) -> None:
    """Name, level and UTC time are added."""
    log.info("run.finished", run_id="run-1", seconds=1.5, polls=3, outcome=None)
    record = only(lines)
    assert datetime.fromisoformat(record.pop("timestamp")).tzinfo is UTC
    assert record == {
        "event": "run.finished",
        "level": "info",
        "run_id": "run-1",
        "seconds": 1.5,
        "polls": 3,
        "outcome": None,
    }


@pytest.mark.parametrize(
    "name",
    [
        "prompt",
        "question",
        "answer",
        "response",
        "text",
        "authorization",
        "api_key",
        "token",
        "headers",
        "body",
        "arguments",
        "a",
    ],
)
def test_a_field_that_is_not_listed_is_dropped(name: str, written: io.StringIO) -> None:
    """No name outside the list reaches the line, whatever its value."""
    log.info("x", **{name: MARKER})
    assert MARKER not in written.getvalue()
    assert name + "=" not in written.getvalue()


@pytest.mark.parametrize(
    "value", [{"a": MARKER}, [MARKER], (MARKER,), MARKER.encode(), ValueError(MARKER), object(), {MARKER}]
)
def test_a_value_that_is_not_a_scalar_is_shown_by_its_type(value: object, lines: io.StringIO) -> None:
    """A container or an object could contain anything."""
    log.info("x", outcome=value)
    assert only(lines)["outcome"] == f"<{type(value).__name__}>"
    assert MARKER not in lines.getvalue()


@pytest.mark.parametrize("name", [name for name, longest in FIELDS.items() if longest])
def test_each_text_is_truncated_to_the_length_of_its_field(name: str, lines: io.StringIO) -> None:
    """The marker for a truncated text is one more character."""
    log.info("x", **{name: "y" * 1_000_000})
    assert only(lines)[name] == "y" * FIELDS[name] + "…"


def test_every_field_that_the_package_logs_is_listed() -> None:
    """A field outside the list would be dropped without a trace."""
    unknown = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            is_log = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "log"
            )
            if isinstance(node, ast.Call) and is_log:
                names = {keyword.arg for keyword in node.keywords if keyword.arg} - {"exc_info"}
                unknown += [f"{place(path)}:{node.lineno} {name}" for name in sorted(names - FIELDS.keys())]
    assert not unknown


SLOW = [
    "a://",
    "eyJ-",
    "Bearer ",
    "://@",
    "?#",
    "ctpat_",
    "authorization=",
    '"token":',
    "\\",
    "\x1b[",
    "((((",
    "é",
    "\u202e",
]


@pytest.mark.parametrize("unit", SLOW, ids=ascii)
def test_the_cost_of_a_field_does_not_grow_with_its_length(unit: str, lines: io.StringIO) -> None:
    """A megabyte of any repeated text costs about as much as a hundred characters."""
    short, long = unit * 100, unit * (1_000_000 // len(unit))

    def seconds(text: str) -> float:
        began = time.perf_counter()
        for _ in range(200):
            log.info("call.finished", request_id=text, host=text, tool=text)
        return time.perf_counter() - began

    seconds(short)
    assert min(seconds(long) for _ in range(3)) < 10 * min(seconds(short) for _ in range(3))
    assert lines.getvalue()


def test_numbers_that_json_does_not_have_are_texts(lines: io.StringIO) -> None:
    """A strict reader would refuse the line."""
    log.info("x", seconds=float("nan"), polls=float("inf"), retries=10**5_000)
    record = only(lines)
    assert {record["seconds"], record["polls"], record["retries"]} == {"<out of range>"}


INJECTIONS = [
    'x\n{"event": "forged"}', "x\r\nforged", "x\rforged", "x\x1b[2Kforged", "x\x00\x07\x08\x7f\x85\x9b", "x\u2028forged\u2029",
    "x\u202eforged\u2066", "x\u200b\ufeff\U000e0041", "x\x0b\x0c\x1c\x1d\x1e", "x\ud800\udfff",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_no_value_forges_a_line(text: str, written: io.StringIO) -> None:
    """One record is one line, without characters that move the cursor or hide text."""
    log.info(text, host=text)
    logging.getLogger(text).warning("x")
    output = written.getvalue()
    assert len(output.splitlines()) == output.count("\n") == 2
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert all(character.isprintable() for character in plain.replace("\n", ""))
    output.encode()


@given(
    st.dictionaries(
        st.sampled_from(sorted(FIELDS)),
        st.none() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=())) | st.binary(),
    )
)
def test_any_fields_make_one_line_of_strict_json(fields: dict[str, object]) -> None:
    """Whatever is given as a value."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=True)
    log.info("x", **fields)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (line,) = stream.getvalue().splitlines()
    json.loads(line, parse_constant=refuse)
    line.encode()


def test_without_configuration_events_go_to_the_standard_library() -> None:
    """An application that embeds the package gets the events with its own handlers; stdout stays empty."""
    code = """
import logging
from contit_mcp.telemetry.logging import get_logger
got = []
class Handler(logging.Handler):
    def emit(self, record): got.append((record.getMessage(), record.run_id, record.levelname))
logging.getLogger().addHandler(Handler())
get_logger("contit_mcp.x").warning("run.slow", run_id="r", prompt="p")
assert got == [("run.slow", "r", "WARNING")], got
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_applies_to_our_own_events(level: str, count: int) -> None:
    """Events below the level are not written."""
    stream = io.StringIO()
    configure_logging(level, stream=stream, as_json=True)
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x")
    assert len(stream.getvalue().splitlines()) == count


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_other_libraries_are_silent_below_warning(level: str) -> None:
    """Httpx writes every address at INFO, also when it sets the level of its own logger."""
    stream = io.StringIO()
    configure_logging(level, stream=stream, as_json=True)
    for name in ("httpx", "mcp.server", "uvicorn.access", "contit_mcp_other", "asyncio", ""):
        library = logging.getLogger(name)
        before = library.level
        library.setLevel(logging.DEBUG)
        library.debug("x")
        library.info("x")
        library.setLevel(before)
    assert stream.getvalue() == ""
    logging.getLogger("httpx").warning("x")
    assert only(stream)["logger"] == "httpx"


def test_a_terminal_gets_the_readable_form_and_anything_else_json() -> None:
    """`as_json` overrides the choice."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    cases = (
        (Terminal(), None, False),
        (io.StringIO(), None, True),
        (Terminal(), True, True),
        (io.StringIO(), False, False),
    )
    for stream, as_json, is_json in cases:
        configure_logging("INFO", stream=stream, as_json=as_json)
        log.info("run.finished", polls=3)
        assert stream.getvalue().startswith("{") is is_json
        assert "run.finished" in stream.getvalue()


def failing() -> None:
    """Raise a group of chained exceptions, each with the marker in its text."""
    try:
        try:
            raise ValueError(MARKER)  # noqa: TRY301 - a cause to chain
        except ValueError as exc:
            raise KeyError(MARKER) from exc
    except KeyError:
        raise ExceptionGroup(MARKER, [RuntimeError(MARKER), OSError(MARKER)])  # noqa: B904 - the context is the point


def test_of_an_exception_only_types_and_places_are_written(written: io.StringIO) -> None:
    """Causes, contexts and members of groups are listed; texts and notes are not."""
    try:
        failing()
    except ExceptionGroup as group:
        group.add_note(MARKER)
        log.exception("call.crashed", tool="contit_ask")
    assert MARKER not in written.getvalue()
    assert "Traceback" not in written.getvalue()
    for name in ("ExceptionGroup", "RuntimeError", "OSError", "KeyError", "ValueError", "failing", "test_logging.py"):
        assert name in written.getvalue()


def test_a_circle_of_causes_is_bounded(lines: io.StringIO) -> None:
    """At most eight exceptions are listed."""
    error = circle = ValueError(MARKER)
    for _ in range(50):
        cause = ValueError(MARKER)
        error.__cause__ = cause
        error = cause
    error.__cause__ = circle
    log.info("x", exc_info=circle)
    assert only(lines)["error"].count("ValueError") == 8


def test_of_another_librarys_record_only_the_template_is_written(lines: io.StringIO) -> None:
    """Arguments and extra attributes could be anything."""
    library = logging.getLogger("httpx")
    library.warning("%s", MARKER)
    library.warning("failed: %s after %d", MARKER, 3)
    library.error("%(a)s", {"a": MARKER}, extra={"prompt": MARKER, "a": MARKER})
    assert MARKER not in lines.getvalue()
    records = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [record["event"] for record in records] == ["%s", "failed: %s after %d", "%(a)s"]
    assert all(re.search(r"test_logging\.py:\d+$", record["where"]) for record in records)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"Unknown event: {MARKER}", "Unknown event"),
        (f"Cannot parse '{MARKER}'", "Cannot parse"),
        (f'got {{"prompt": "{MARKER}"}}', "got"),
        (f"state={MARKER}", "state"),
        (f"Task exception was never retrieved\nfuture: <Task {MARKER}>", "Task exception was never retrieved"),
        ("Connection pool is full", "Connection pool is full"),
        ("", ""),
    ],
)
def test_of_a_text_without_arguments_only_the_beginning_is_written(
    message: str, shown: str, lines: io.StringIO
) -> None:
    """The text may be filled in already; it is kept up to the first sign that values usually follow."""
    logging.getLogger("mcp.server").warning(message)
    assert MARKER not in lines.getvalue()
    assert only(lines)["event"] == shown


@pytest.mark.parametrize("message", [ValueError(MARKER), {"neutral": MARKER}, [MARKER], 7])
def test_a_record_that_is_not_a_text_is_shown_by_its_type(message: object, lines: io.StringIO) -> None:
    """Some libraries log the exception itself."""
    logging.getLogger("x").error(message)
    assert MARKER not in lines.getvalue()
    assert only(lines)["event"] == f"<{type(message).__name__}>"


def test_a_warning_of_python_is_shown_by_category_and_place(lines: io.StringIO) -> None:
    """Its text can quote anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"{MARKER}: {MARKER}", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    record = only(lines)
    assert (record["event"], record["category"]) == ("python warning", "UserWarning")
    assert "test_logging.py:" in record["where"]
    assert MARKER not in lines.getvalue()


def test_the_event_loops_report_of_a_failed_task_contains_no_text(lines: io.StringIO) -> None:
    """The event loop puts the exception's text into its message."""

    async def main() -> None:
        context = {"message": "Task exception was never retrieved", "exception": ValueError(MARKER), "task": MARKER}
        asyncio.get_running_loop().call_exception_handler(context)

    asyncio.run(main())
    record = only(lines)
    assert (record["event"], record["error"]) == ("Task exception was never retrieved", "ValueError")
    assert MARKER not in lines.getvalue()


def test_a_line_that_cannot_be_written_is_reported_by_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """The standard library would print the record with its arguments."""

    class Fussy(io.StringIO):
        def write(self, text: str) -> int:
            if "run-1" in text:
                raise UnicodeEncodeError("ascii", text, 0, 1, MARKER)
            return super().write(text)

    stream = Fussy()
    configure_logging("INFO", stream=stream, as_json=True)
    log.info("x", run_id="run-1")
    record = only(stream)
    assert (record["event"], record["error"]) == ("log.failed", "UnicodeEncodeError")
    assert capsys.readouterr() == ("", "")


def test_a_closed_stream_breaks_no_call(capsys: pytest.CaptureFixture[str]) -> None:
    """The host may close our stderr."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, as_json=True)
    stream.close()
    log.info("x", run_id="r")
    assert capsys.readouterr() == ("", "")


def test_a_process_logs_to_stderr_only() -> None:
    """Events, libraries, warnings, and a second configuration by basicConfig: stdout stays empty."""
    code = textwrap.dedent(f"""
        import logging, warnings
        from contit_mcp.telemetry.logging import configure_logging, get_logger
        early = get_logger("contit_mcp.early")
        configure_logging("DEBUG")
        logging.basicConfig(level=logging.DEBUG)
        early.info("early", prompt={MARKER!r})
        logging.getLogger("httpx").info("GET %s", {MARKER!r})
        logging.getLogger("httpx").warning("GET %s", {MARKER!r})
        warnings.warn({MARKER!r})
        try:
            raise ValueError({MARKER!r})
        except ValueError:
            early.exception("failed")
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert [record["event"] for record in records] == ["early", "GET %s", "python warning", "failed"]
    assert MARKER not in done.stderr
