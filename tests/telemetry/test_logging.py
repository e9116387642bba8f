"""The log keeps known scalar fields, truncates each, and never contains a prompt, an answer or an exception's text."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
import textwrap
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
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=request.param == "json")
    yield stream


def only(stream: io.StringIO) -> dict[str, Any]:
    """Return the only record in the log."""
    (line,) = stream.getvalue().splitlines()
    record: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return record


def test_an_event_is_one_json_line_of_its_fields_with_level_and_time(logged: io.StringIO) -> None:
    log.info("run.finished", run_id="run-1", seconds=1.5, polls=3, outcome=None)
    record = only(logged)
    assert datetime.fromisoformat(record.pop("timestamp")).tzinfo is UTC
    fields = {"run_id": "run-1", "seconds": 1.5, "polls": 3, "outcome": None}
    assert record == {"event": "run.finished", "level": "info", **fields}


@pytest.mark.parametrize("name", "prompt answer response text authorization api_key token headers body a".split())
def test_a_field_that_is_not_listed_is_dropped(name: str, written: io.StringIO) -> None:
    log.info("x", **{name: MARKER})
    assert MARKER not in written.getvalue()


@pytest.mark.parametrize("value", [{"a": MARKER}, [MARKER], MARKER.encode(), ValueError(MARKER), object()])
def test_a_value_that_is_not_a_scalar_is_shown_by_its_type(value: object, logged: io.StringIO) -> None:
    log.info("x", outcome=value)
    assert only(logged)["outcome"] == f"<{type(value).__name__}>"


@pytest.mark.parametrize("name", [name for name, longest in FIELDS.items() if longest])
def test_each_text_is_truncated_to_the_length_of_its_field(name: str, logged: io.StringIO) -> None:
    log.info("x", **{name: "y" * 1_000_000})
    assert only(logged)[name] == "y" * FIELDS[name] + "…"


def test_every_field_that_the_package_logs_is_listed() -> None:
    """A field outside the list would be dropped without a trace."""
    unknown = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
                names = {keyword.arg for keyword in node.keywords if keyword.arg} - {"exc_info"}
                unknown += [f"{place(path)}:{node.lineno} {name}" for name in sorted(names - FIELDS.keys())]
    assert not unknown


FORGERIES = [
    'x\n{"event": "forged"}', "x\r\nforged", "x\x1b[2Kforged", "x\x00\x07\x08\x7f\x85\x9b", "x\u2028forged\u2029",
    "x\u202eforged\u2066", "x\u200b\ufeff\U000e0041", "x\x0b\x0c\x1c\x1d\x1e", "x\ud800\udfff",
]  # fmt: skip


@pytest.mark.parametrize("text", FORGERIES, ids=ascii)
def test_no_value_forges_a_line(text: str, written: io.StringIO) -> None:
    """One record is one line, without characters that move the cursor or hide text."""
    log.info(text, host=text)
    logging.getLogger(text).warning("x")
    output = written.getvalue()
    assert len(output.splitlines()) == output.count("\n") == 2
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert all(character.isprintable() for character in plain.replace("\n", ""))
    output.encode()


ANY = st.none() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=())) | st.binary()


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), ANY))
def test_any_fields_make_one_line_of_strict_json(fields: dict[str, object]) -> None:
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=True)
    log.info("x", **fields)
    only(stream)
    stream.getvalue().encode()


def test_without_configuration_events_go_to_the_standard_library() -> None:
    """An application that embeds the package gets the events with its own handlers."""
    code = textwrap.dedent("""
        import logging
        from contit_mcp.telemetry.logging import get_logger
        got = []
        handler = logging.Handler()
        handler.emit = lambda record: got.append((record.getMessage(), record.run_id, record.levelname))
        logging.getLogger().addHandler(handler)
        get_logger("contit_mcp.x").warning("run.slow", run_id="r", prompt="p")
        assert got == [("run.slow", "r", "WARNING")], got
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_our_events_are_written_from_the_level_on_and_others_from_warning_on(level: str, count: int) -> None:
    """Also if a library, such as httpx, sets the level of its own logger."""
    stream = io.StringIO()
    configure_logging(level, stream=stream, as_json=True)
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x")
    for name in ("httpx", "uvicorn.access", "contit_mcp_other", ""):
        library = logging.getLogger(name)
        before = library.level
        library.setLevel(logging.DEBUG)
        library.info("x")
        library.setLevel(before)
    assert len(stream.getvalue().splitlines()) == count


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_the_readable_form_and_anything_else_json(terminal: bool, monkeypatch: Any) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    configure_logging("INFO", stream=stream)
    log.info("run.finished")
    assert ("run.finished" in stream.getvalue(), stream.getvalue().startswith("{")) == (True, not terminal)


def test_a_circle_of_causes_is_bounded(logged: io.StringIO) -> None:
    error, other = ValueError(MARKER), ValueError(MARKER)
    error.__cause__, other.__cause__ = other, error
    log.info("x", exc_info=error)
    assert only(logged)["error"].count("ValueError") == 8


def test_of_an_exception_only_types_and_places_are_written(written: io.StringIO) -> None:
    """Also of causes, contexts and members of groups."""
    try:
        try:
            raise KeyError(MARKER) from ValueError(MARKER)  # noqa: TRY301 - a context to chain
        except KeyError:
            raise ExceptionGroup(MARKER, [RuntimeError(MARKER), OSError(MARKER)])  # noqa: B904 - the context is the point
    except ExceptionGroup as group:
        group.add_note(MARKER)
        log.exception("call.crashed", tool="contit_ask")
    assert MARKER not in written.getvalue()
    assert "Traceback" not in written.getvalue()
    for name in ("ExceptionGroup", "RuntimeError", "OSError", "KeyError", "ValueError", "test_logging.py"):
        assert name in written.getvalue()


# The message and the arguments of a record, and the event that is written.
RECORDS: list[tuple[object, tuple[Any, ...], str]] = [
    ("%s", (MARKER,), "%s"), ("failed: %s after %d", (MARKER, 3), "failed: %s after %d"),
    ("%(a)s", ({"a": MARKER},), "%(a)s"), (f"Unknown event: {MARKER}", (), "Unknown event"),
    (f"Cannot parse '{MARKER}'", (), "Cannot parse"), (f'got {{"prompt": "{MARKER}"}}', (), "got"),
    (f"state={MARKER}", (), "state"), ("Connection pool is full", (), "Connection pool is full"),
    (f"Task exception was never retrieved\nfuture: <Task {MARKER}>", (), "Task exception was never retrieved"),
    (ValueError(MARKER), (), "<ValueError>"), ({"neutral": MARKER}, (), "<dict>"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "arguments", "shown"), RECORDS)
def test_of_another_librarys_record_only_the_template_is_written(
    message: object, arguments: tuple[Any, ...], shown: str, logged: io.StringIO
) -> None:
    """A text without arguments may be filled in already, so only its beginning is written."""
    logging.getLogger("httpx").error(message, *arguments, extra={"prompt": MARKER, "a": MARKER})
    assert MARKER not in logged.getvalue()
    record = only(logged)
    assert (record["event"], record["logger"]) == (shown, "httpx")
    assert re.search(r"test_logging\.py:\d+$", record["where"])


def test_a_line_that_cannot_be_written_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """The host may close our stderr. The standard library would print the record with its arguments."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, as_json=True)
    stream.close()
    log.info("x", run_id="r")
    assert capsys.readouterr() == ("", "")


def test_a_process_logs_to_stderr_only() -> None:
    """Events, records of libraries and warnings, also after a second basicConfig."""
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
    assert [record["event"] for record in records] == ["early", "GET %s", "python.warning", "failed"]
    assert (records[2]["category"], records[2]["where"]) == ("UserWarning", "<string>:10")
    assert MARKER not in done.stderr
