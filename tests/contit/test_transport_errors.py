"""Whatever httpx raises becomes one of our errors, and nothing that httpx writes is passed on."""

import io
import ssl

import httpx
import pytest

from contit_mcp.contit.transport import HTTPX_ERRORS, translate
from contit_mcp.errors import APIConnectionError, APIError, APIResponseValidationError, APITimeoutError
from tests.contit.upstream import START_OK, Kept, contit_client, scripted, start

MARKER = "sk-secret at https://hidden.example/?api_key=sk-secret"


def with_all_below(kind: type[Exception]) -> set[type[Exception]]:
    """The class and every class derived from it."""
    return {kind}.union(*(with_all_below(child) for child in kind.__subclasses__()))


def made(kind: type[Exception]) -> Exception:
    """An instance as httpx would raise it, with a text that must go nowhere."""
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://hidden.example")
        return httpx.HTTPStatusError(MARKER, request=request, response=httpx.Response(500, request=request))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return kind()  # type: ignore[call-arg]
    return kind(MARKER)


ALL_OF_HTTPX = sorted(
    {kind for root in HTTPX_ERRORS for kind in with_all_below(root) if kind.__module__.startswith("httpx")},
    key=lambda kind: kind.__name__,
)
BEFORE_SENDING = {
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ConnectError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
"""With these, and only these, Contit certainly got nothing: no connection stood when they were raised."""

ABOUT_THE_CONNECTION = {*with_all_below(httpx.TransportError), httpx.InvalidURL}


def test_everything_httpx_exports_as_an_exception_is_caught() -> None:
    public = [getattr(httpx, name) for name in httpx.__all__]
    exceptions = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)}
    assert exceptions <= set(ALL_OF_HTTPX)
    assert len(ALL_OF_HTTPX) > 25


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ALL_OF_HTTPX)
async def test_every_error_of_httpx_becomes_ours_without_its_text_and_a_start_is_repeated_only_before_sending(
    kind: type[Exception], logged: io.StringIO
) -> None:
    upstream, kept = scripted(made(kind)), Kept()
    client = contit_client(upstream)
    with pytest.raises(APIError) as read:
        await client.run_status("thread-1", "run-1")
    assert len(upstream.received) == 4
    with pytest.raises(APIError) as started:
        await start(client, keep=kept)
    assert len(upstream.received) - 4 == (4 if kind in BEFORE_SENDING else 1)
    assert kept.runs == []
    for ours in (read.value, started.value):
        assert isinstance(ours.__cause__, kind)
        assert "sk-secret" not in f"{ours} {ours!r} {ours.message} {ours.hint} {ours.args}"
        assert isinstance(ours, APITimeoutError) is issubclass(kind, httpx.TimeoutException)
        assert isinstance(ours, APIConnectionError) is (kind in ABOUT_THE_CONNECTION)
        if isinstance(ours, APIConnectionError):
            assert ours.may_have_arrived is (kind not in BEFORE_SENDING)
        else:
            assert isinstance(ours, APIResponseValidationError)
    assert "sk-secret" not in logged.getvalue()


def test_a_class_that_a_later_httpx_adds_is_taken_for_sent() -> None:
    class NewError(httpx.TransportError): ...

    class NewTimeout(httpx.TimeoutException): ...

    for kind, ours in ((NewError, APIConnectionError), (NewTimeout, APITimeoutError)):
        error = translate(kind("x"))
        assert type(error) is ours
        assert isinstance(error, APIConnectionError)
        assert error.may_have_arrived


def test_an_untrusted_certificate_is_named_as_the_cause() -> None:
    refusal = httpx.ConnectError(MARKER)
    refusal.__cause__ = ssl.SSLCertVerificationError(1, MARKER)
    error = translate(refusal)
    assert isinstance(error, APIConnectionError)
    assert "certificate" in error.message
    assert "sk-secret" not in f"{error.message}{error.hint}"
    assert not error.may_have_arrived


@pytest.mark.anyio
async def test_a_start_goes_on_after_a_connection_that_was_not_made() -> None:
    upstream = scripted(httpx.ConnectError("x"), httpx.ConnectTimeout("x"), START_OK)
    assert (await start(contit_client(upstream))).run_id == "run-1"
    assert len(upstream.received) == 3
