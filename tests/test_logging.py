"""The log under attack: whatever secrets, prompts and answers are given to it, none of them is written."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import textwrap
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.telemetry.logging import configure_logging
from contit_mcp.telemetry.redaction import Redactor

SECRET = 'k3y-"of\\the"-cliënt & co'
PLAIN = "plain-secret-0123456789"
MARKER = "the-words-of-somebody"
KNOWN = (SecretValue("CONTIT_API_KEY", value=SECRET), SecretValue("CONTIT_CLIENT_SECRET", value=PLAIN))
log = structlog.get_logger("contit_mcp.test")


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What is written, in both forms, at DEBUG, with the secrets known."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=request.param == "json", secrets=KNOWN)
    yield stream


@pytest.fixture
def lines() -> io.StringIO:
    """What is written as JSON."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=True, secrets=KNOWN)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    """The one record in `stream`."""
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


def assert_one_line_without(stream: io.StringIO, *hidden: str) -> None:
    """One record, one line, and nothing hidden in it."""
    text = stream.getvalue()
    assert text.endswith("\n")
    assert len(text.splitlines()) == text.count("\n") == 1
    for value in hidden:
        assert value not in text


# --- What is written ---------------------------------------------------------------------------------------------


def test_an_event_is_one_json_line_of_its_named_values(lines: io.StringIO) -> None:
    """Events, not sentences (our choice)."""
    log.info("run.finished", run_id="run-1", seconds=1.5, polls=3, outcome=None, joined=False, hosts=["a", "b"])
    record = only(lines)
    assert datetime.fromisoformat(record.pop("timestamp")).tzinfo is UTC
    assert record == {
        "event": "run.finished",
        "level": "info",
        "run_id": "run-1",
        "seconds": 1.5,
        "polls": 3,
        "outcome": None,
        "joined": False,
        "hosts": ["a", "b"],
    }


def test_values_that_are_plain_are_written_as_text(lines: io.StringIO) -> None:
    """Paths, dates, ids and decimals (our choice)."""
    number = uuid.UUID(int=7)
    log.info("x", a=Path("/tmp/x"), b=datetime(2026, 3, 15, tzinfo=UTC), c=number, d=Decimal("1.5"), e="漢字 é")
    record = only(lines)
    assert [record[key] for key in "abcde"] == ["/tmp/x", "2026-03-15 00:00:00+00:00", str(number), "1.5", "漢字 é"]


def test_values_bound_to_the_context_are_part_of_every_event(written: io.StringIO) -> None:
    """And masked like any other (our choice)."""
    with structlog.contextvars.bound_contextvars(request_id="req-7", prompt=MARKER):
        log.info("x")
    assert "req-7" in written.getvalue()
    assert_one_line_without(written, MARKER)


@pytest.mark.parametrize(
    ("level", "told"),
    [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)],
)
def test_the_level_is_for_our_own_events(level: str, told: int) -> None:
    """From the level on (our choice)."""
    stream = io.StringIO()
    configure_logging(level, stream=stream, as_json=True)
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x")
    assert len(stream.getvalue().splitlines()) == told


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_other_libraries_are_silent_below_warning_even_when_they_set_a_level(level: str) -> None:
    """At DEBUG too: httpx writes every address at INFO (our choice)."""
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


def test_configuring_again_replaces_the_stream() -> None:
    """No line is written twice (our choice)."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging("INFO", stream=first, as_json=True)
    configure_logging("INFO", stream=second, as_json=True)
    log.info("x")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_a_terminal_gets_the_readable_form_and_anything_else_json() -> None:
    """Unless it is said (our choice)."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, as_json, is_json in (
        (Terminal(), None, False),
        (io.StringIO(), None, True),
        (Terminal(), True, True),
        (io.StringIO(), False, False),
    ):
        configure_logging("INFO", stream=stream, as_json=as_json)
        log.info("run.finished", polls=3)
        assert stream.getvalue().startswith("{") is is_json
        assert "run.finished" in stream.getvalue()
        assert ("\x1b[" in stream.getvalue()) is (isinstance(stream, Terminal) and not is_json)


# --- Values ------------------------------------------------------------------------------------------------------

TELLING = [
    "prompt", "question", "answer", "response", "response_text", "authorization", "Authorization", "api_key", "apikey",
    "x-api-key", "X_API_KEY", "token", "access_token", "tokens", "secret", "client_secret", "password", "passwd",
    "credential", "cookie", "Set-Cookie", "headers", "header", "request_headers", "body", "arguments", "params",
    "query", "query_string", "content", "text", "seal_key", "private_key", "passphrase", "prompt_tokens",
]  # fmt: skip


@pytest.mark.parametrize("name", TELLING)
def test_values_under_telling_names_are_masked_wherever_they_stand(name: str, written: io.StringIO) -> None:
    """At the top, in dictionaries, in lists of pairs, and in bytes (our choice)."""
    log.info(
        "x",
        **{name: MARKER},
        a={name: MARKER},
        b=[{"deep": {name: [MARKER]}}],
        c=[(name, MARKER), (name.encode(), MARKER.encode())],
        d={name.encode(): MARKER},
    )
    assert_one_line_without(written, MARKER)


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        PLAIN,
        f"before {SECRET} after",
        [SECRET],
        {"a": {"b": [f"x{PLAIN}x"]}},
        {SECRET: 1, PLAIN: 2},
        (PLAIN, SECRET),
        frozenset({PLAIN}),
        Path(f"/tmp/{PLAIN}/x"),
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        repr(SECRET),
        repr({"a": [SECRET]}),
        quote(SECRET, safe=""),
        quote(SECRET),
        f"grant_type=x&client_secret={quote(PLAIN)}",
        "x" * 290 + PLAIN,
        PLAIN * 100,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_known_secret_is_cut_out_of_every_value(value: object, written: io.StringIO) -> None:
    """In whatever spelling, and not even its ends are left where a long text is cut (our choice)."""
    log.info("x", a=value)
    assert_one_line_without(
        written, SECRET, PLAIN, PLAIN[:8], PLAIN[-8:], "of\\the", "the\\\\", "cliënt", "cli\\u00eb", "cli%C3%ABnt"
    )


def test_a_known_secret_is_cut_out_of_event_and_names(written: io.StringIO) -> None:
    """Also where a text was put together too early (our choice)."""
    log.info(f"asked with {SECRET}", **{f"x{PLAIN}": 1})  # noqa: G004 - the mistake is what is tested
    assert_one_line_without(written, SECRET, PLAIN, "cliënt")


def test_a_secret_of_digits_is_cut_out_of_numbers_and_the_line_stays_json() -> None:
    """A line that is no JSON any more is lost for whoever reads it (our choice)."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, as_json=True, secrets=[SecretValue("S", value="123456")])
    log.info("x", a=123456, b=1234567.5, c=123, d=True)
    record = only(stream)
    assert "123456" not in stream.getvalue().replace(record["timestamp"], "")
    assert (record["c"], record["d"]) == (123, True)


def test_a_secret_that_begins_another_leaves_no_rest_of_it() -> None:
    """The longest is cut out first (our choice)."""
    stream = io.StringIO()
    secrets = [SecretValue("A", value="abcdef"), SecretValue("B", value="abcdef-and-more")]
    configure_logging("INFO", stream=stream, as_json=True, secrets=secrets)
    log.info("x", a="abcdef-and-more")
    assert_one_line_without(stream, "and-more")


def test_a_secret_of_a_file_is_cut_out_once_it_was_read_and_after_it_changed(tmp_path: Path) -> None:
    """Both its values (our choice)."""
    file, stream = tmp_path / "key", io.StringIO()
    secret = SecretValue("CONTIT_API_KEY", file=file)
    configure_logging("INFO", stream=stream, as_json=True, secrets=[secret])
    for value in ("first-secret", "second-and-longer-secret"):
        file.write_text(value)
        secret.reveal()
    log.info("x", a="first-secret second-and-longer-secret")
    assert only(stream)["a"] == "[masked] [masked]"


@pytest.mark.parametrize(("secret", "masked"), [("12345", False), ("123456", True)])
def test_a_very_short_secret_is_left(secret: str, masked: bool) -> None:
    """It would blank out half the log; six characters are the least (our choice)."""
    assert ("[masked]" in Redactor([SecretValue("S", value=secret)]).text(f"x {secret} x")) is masked


UNKNOWN = [
    "Bearer unknown-credential",
    "authorization: bearer unknown-credential",
    "Authorization: Basic dW5rbm93bi1jcmVkZW50aWFs",
    "Basic dW5rbm93bi1jcmVkZW50aWFs",
    "X-Api-Key: unknown-credential",
    "x-api-key=unknown-credential",
    "'x-api-key': 'unknown-credential'",
    '{"X-Api-Key": "unknown-credential"}',
    "(b'x-api-key', b'unknown-credential')",
    "('authorization', 'Bearer unknown-credential')",
    "https://api.contit.cloud/x?api_key=unknown-credential&b=c",
    "https://api.contit.cloud/x?anything=unknown-credential",
    "https://api.contit.cloud/x#unknown-credential",
    "https://user:unknown-credential@proxy.test:3128/",
    "redis://:unknown-credential@redis.test/0",
    "client_secret=unknown-credential&grant_type=x",
    '"access_token": "unknown-credential"',
    "password='unknown-credential'",
    "ctpat_unknown",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bmtub3duIn0.unknown",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_looks_like_a_credential_is_cut_out_of_texts(text: str, written: io.StringIO) -> None:
    """Also when nobody told us that it is one: a caller's own, a proxy's (our choice)."""
    log.info("x", a=text, b=f"see {text}, please")
    assert_one_line_without(written, "unknown", "dW5rbm93", "eyJzdWIi")


@pytest.mark.parametrize(
    "text",
    [
        "https://api.contit.cloud/ai-assistant/thread",
        "run-1",
        "a basic thing",
        "server.stopping",
        "12:30",
        "token",
        "user@example.test",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    """Masking everything would be easy (our choice)."""
    assert Redactor().text(text) == text


class _Odd:
    """An object whose texts all tell."""

    def __repr__(self) -> str:
        return f"_Odd({MARKER})"


class _Broken:
    """An object that has no text."""

    def __repr__(self) -> str:
        raise ValueError(MARKER)


class _BrokenText(str):
    """A text that cannot be read."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError(MARKER)


@pytest.mark.parametrize(
    "value", [_Odd(), _Broken(), _BrokenText("x"), MARKER.encode(), bytearray(b"x"), iter([MARKER])]
)
def test_of_an_object_only_the_type_is_told(value: object, written: io.StringIO) -> None:
    """Its text could hold anything, or raise (our choice)."""
    log.info("x", a=value, b=[value], c={"d": value}, e={value if isinstance(value, _Odd) else "k": 1})
    assert_one_line_without(written, MARKER)
    assert f"<{type(value).__name__}>" in written.getvalue()


def test_values_without_an_end_are_cut(lines: io.StringIO) -> None:
    """Long texts, long lists, deep ones, and ones that hold themselves (our choice)."""
    circle: list[object] = []
    circle.append(circle)
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    log.info(
        "x", a="y" * 10**6, b=list(range(10**5)), c=circle, d=deep, e={str(n): n for n in range(10**4)}, f="z" * 300
    )
    assert len(lines.getvalue()) < 5_000
    record = only(lines)
    assert record["a"] == "y" * 300 + "…"
    assert record["b"] == [*range(30), "…"]
    assert record["f"] == "z" * 300


def test_numbers_that_json_has_not_are_texts(lines: io.StringIO) -> None:
    """A strict reader would refuse the line (our choice)."""
    log.info("x", a=float("nan"), b=float("inf"), c=10**5_000)
    record = only(lines)
    assert (record["a"], record["b"], record["c"]) == ("nan", "inf", "<int>")


INJECTIONS = [
    'x\n{"event": "forged"}',
    "x\r\nforged",
    "x\rforged",
    "x\x1b[2Kforged",
    "x\x00\x07\x08\x7f\x85\x9b",
    "x\u2028forged\u2029",
    "x\u202eforged\u2066",
    "x\u200b\ufeff\U000e0041",
    "x\x0b\x0c\x1c\x1d\x1e",
    "x\ud800\udfff",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_no_value_can_forge_a_line(text: str, written: io.StringIO) -> None:
    """One record is one line, without characters that move the cursor or hide (our choice)."""
    log.info(text, **{f"k{text}": text}, a={text: [text]})
    logging.getLogger(text).warning("x")
    log.warning("y", logger=text)
    output = written.getvalue()
    assert len(output.splitlines()) == output.count("\n") == 3
    assert all(character.isprintable() for character in output.replace("\n", ""))
    output.encode()


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.binary(), inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_any_value_becomes_one_line_of_strict_json(value: object) -> None:
    """Whatever is logged (our choice)."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json.dumps(Redactor().event({"event": "x", "a": value}), ensure_ascii=False)
    assert len(line.splitlines()) == 1
    json.loads(line, parse_constant=refuse)
    line.encode()


@given(st.text(min_size=6, max_size=40).filter(lambda text: text not in "[masked]=?@…"), ANYTHING, st.integers(0, 400))
def test_a_known_secret_survives_in_no_value(secret: str, value: object, before: int) -> None:
    """Wherever it stands in a text (our choice)."""
    redactor = Redactor([SecretValue("S", value=secret)])
    shown = redactor.event({"a": ["." * before + secret + "!", {"a": [value, secret]}]})["a"]
    assert secret not in shown[0]
    assert shown[1]["a"][1] == "[masked]"


# --- Exceptions --------------------------------------------------------------------------------------------------


def failing() -> None:
    """Raise a group of chained exceptions whose texts all tell."""
    try:
        try:
            raise ValueError(MARKER)  # noqa: TRY301 - a cause to chain
        except ValueError as exc:
            raise KeyError(SECRET) from exc
    except KeyError:
        raise ExceptionGroup(MARKER, [RuntimeError(PLAIN), OSError(MARKER)])  # noqa: B904 - the context is the point


def test_of_exceptions_only_types_and_places_are_written(written: io.StringIO) -> None:
    """Of causes, contexts and groups too (our choice)."""
    try:
        failing()
    except ExceptionGroup as group:
        group.add_note(MARKER)
        log.exception("call.crashed", tool="contit_ask")
    assert_one_line_without(written, MARKER, SECRET, PLAIN, "cliënt", "Traceback")
    for name in ("ExceptionGroup", "RuntimeError", "OSError", "KeyError", "ValueError", "failing", "test_logging.py"):
        assert name in written.getvalue()


def test_an_exception_is_told_with_the_places_it_passed(lines: io.StringIO) -> None:
    """The innermost first (our choice)."""
    try:
        failing()
    except ExceptionGroup as exc:
        log.info("x", exc_info=exc, stack_info=True)
    first = only(lines)["error"][0]
    place = r"\S+ \S*tests/test_logging\.py:\d+"
    assert re.fullmatch(f"ExceptionGroup in {place} < {place}", first)
    assert first.index(" failing ") < first.index(" test_an_exception_is_told")
    assert "stack" not in lines.getvalue()


def test_an_exception_given_as_a_value_is_described_too(written: io.StringIO) -> None:
    """Its text is no better there (our choice)."""
    log.info("x", error=ValueError(MARKER), cause=[KeyError(MARKER)])
    assert_one_line_without(written, MARKER)
    assert "ValueError" in written.getvalue()
    assert "KeyError" in written.getvalue()


def test_exc_info_without_an_exception_is_nothing(lines: io.StringIO) -> None:
    """Nor does it break the line (our choice)."""
    log.info("x", exc_info=True)  # noqa: LOG014 - the mistake is what is tested
    log.info("x", exc_info=None)
    assert all("error" not in json.loads(line) for line in lines.getvalue().splitlines())


def test_a_chain_of_exceptions_without_an_end_is_cut(lines: io.StringIO) -> None:
    """Twelve are enough, also in a circle (our choice)."""
    error = circle = ValueError(MARKER)
    for _ in range(50):
        cause = ValueError(MARKER)
        error.__cause__ = cause
        error = cause
    error.__cause__ = circle
    log.info("x", exc_info=circle)
    assert only(lines)["error"] == ["ValueError"] * 12


# --- Other libraries ---------------------------------------------------------------------------------------------


def test_of_another_librarys_record_only_the_template_is_written(lines: io.StringIO) -> None:
    """What was filled in could be anything (our choice)."""
    library = logging.getLogger("httpx")
    library.warning("%s", MARKER)
    library.warning("failed: %s after %d", MARKER, 3)
    library.error("%(a)s", {"a": MARKER}, extra={"prompt": MARKER, "a": MARKER})
    assert MARKER not in lines.getvalue()
    records = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [record["event"] for record in records] == ["%s", "failed: %s after %d", "%(a)s"]
    assert {record["logger"] for record in records} == {"httpx"}
    assert all(re.search(r"tests/test_logging\.py:\d+$", record["where"]) for record in records)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"Unknown event: {MARKER}", "Unknown event"),
        (f"Cannot parse '{MARKER}'", "Cannot parse"),
        (f'got {{"prompt": "{MARKER}"}}', "got"),
        (f"state={MARKER}", "state"),
        (f"Task exception was never retrieved\nfuture: <Task {MARKER}>", "Task exception was never retrieved"),
        (f"{SECRET}", "k3y-"),
        ("Connection pool is full", "Connection pool is full"),
        ("", ""),
    ],
)
def test_of_a_text_that_may_have_been_filled_in_before_only_the_beginning_is_written(
    message: str, told: str, lines: io.StringIO
) -> None:
    """Up to the first sign behind which values stand (our choice)."""
    logging.getLogger("mcp.server").warning(message)
    record = only(lines)
    assert MARKER not in lines.getvalue()
    assert record["event"] == told


def test_a_known_secret_in_another_librarys_text_is_cut_out(written: io.StringIO) -> None:
    """Where it was put into the template (our choice)."""
    logging.getLogger("httpx").warning(f"sent {PLAIN} to %s", MARKER)  # noqa: G004 - as others do
    assert_one_line_without(written, PLAIN, MARKER)


def test_a_record_that_is_no_text_is_told_by_its_type(written: io.StringIO) -> None:
    """Some log the exception itself (our choice)."""
    logging.getLogger("x").error(ValueError(MARKER))
    logging.getLogger("x").error({"neutral": MARKER})
    assert MARKER not in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert "<dict>" in written.getvalue()


def test_an_exception_of_another_library_is_told_without_its_text(written: io.StringIO) -> None:
    """`logger.exception` and `exc_info` (our choice)."""
    try:
        failing()
    except ExceptionGroup:
        logging.getLogger("mcp").exception("Request handling failed: %s", MARKER, stack_info=True)
    assert_one_line_without(written, MARKER, SECRET, PLAIN)
    assert "RuntimeError" in written.getvalue()


def test_a_warning_of_python_is_told_by_category_and_place(lines: io.StringIO) -> None:
    """Its text can quote anything (our choice)."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"{MARKER}: {MARKER}", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    record = only(lines)
    assert (record["event"], record["logger"], record["category"]) == ("python warning", "py.warnings", "UserWarning")
    assert "tests/test_logging.py:" in record["where"]
    assert MARKER not in lines.getvalue()


def test_a_warning_without_a_place_is_told_all_the_same(lines: io.StringIO) -> None:
    """Whatever form it has (our choice)."""
    logging.getLogger("py.warnings").warning("%s", MARKER)
    assert only(lines)["event"] == "python warning"
    assert MARKER not in lines.getvalue()


def test_a_failed_task_that_nobody_asked_about_tells_no_text(lines: io.StringIO) -> None:
    """The event loop puts the exception's text into its message (our choice)."""

    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": ValueError(MARKER), "task": MARKER}
        )

    asyncio.run(main())
    record = only(lines)
    assert record["event"] == "Task exception was never retrieved"
    assert record["error"] == ["ValueError"]
    assert MARKER not in lines.getvalue()


# --- The stream --------------------------------------------------------------------------------------------------


def test_a_line_that_cannot_be_written_says_only_that(capsys: pytest.CaptureFixture[str]) -> None:
    """The standard library would print the record, with all that is in it (our choice)."""

    class Fussy(io.StringIO):
        def write(self, text: str) -> int:
            if "run-1" in text:
                raise UnicodeEncodeError("ascii", text, 0, 1, MARKER)
            return super().write(text)

    stream = Fussy()
    configure_logging("INFO", stream=stream, as_json=True)
    log.info("x", run_id="run-1", prompt=MARKER)
    record = only(stream)
    assert (record["event"], record["error"]) == ("log.failed", "UnicodeEncodeError")
    assert MARKER not in stream.getvalue()
    assert capsys.readouterr() == ("", "")


def test_a_stream_that_is_gone_breaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The host has closed our stderr; the call goes on (our choice)."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, as_json=True)
    stream.close()
    log.info("x", prompt=MARKER)
    assert capsys.readouterr() == ("", "")


def test_a_process_logs_to_stderr_only_and_tells_nothing() -> None:
    """The protocol owns stdout: events, libraries, warnings, and logging that is set up twice (our choice)."""
    code = textwrap.dedent(f"""
        import logging, warnings
        import structlog
        early = structlog.get_logger("contit_mcp.early")
        from contit_mcp.telemetry.logging import configure_logging
        from contit_mcp.config.secret_value import SecretValue
        configure_logging("DEBUG", secrets=[SecretValue("S", value={PLAIN!r})])
        logging.basicConfig(level=logging.DEBUG)
        early.info("early", prompt={MARKER!r}, key={PLAIN!r})
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
    assert PLAIN not in done.stderr
