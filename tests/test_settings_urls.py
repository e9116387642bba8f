"""Which addresses Contit can be asked at; a refused one is never quoted, since it may hold a password."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import LOOPBACK, usable_url
from contit_mcp.errors import ConfigurationError

GOOD = {
    "https://api.contit.cloud/": "https://api.contit.cloud",
    "https://gateway.test/contit//": "https://gateway.test/contit",
    "HTTPS://API.contit.cloud": "HTTPS://API.contit.cloud",
    "https://contit_test.internal:8443/x": "https://contit_test.internal:8443/x",
    "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443",
    "https://bücher.example": "https://bücher.example",
    "http://LOCALHOST": "http://LOCALHOST",
    "http://127.0.0.1:1": "http://127.0.0.1:1",
    "http://[::1]:8080/": "http://[::1]:8080",
    " https://api.contit.cloud\n": "https://api.contit.cloud",
}
HIDDEN = "hunter2"
BAD = {
    "must begin with https:// (http:// is for this machine only)": [
        "http://api.contit.cloud", "http://localhost.evil.test", "http://127.0.0.1.evil.test",
        "http://127.0.0.2", "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://2130706433",
        "http://localhost.",
    ],
    "must hold no user, password, query or fragment": [
        f"https://user:{HIDDEN}@contit.test", "https://@contit.test", f"http://localhost:{HIDDEN}@evil.test",
        "http://localhost@evil.test", f"https://contit.test\\@{HIDDEN}.test",
        f"https://contit.test?api_key={HIDDEN}", "https://contit.test/?", f"https://contit.test#{HIDDEN}",
        "https://contit.test/#",
    ],
    "is not a URL": [
        f"https://contit.test\\.{HIDDEN}.test", f"https://contit.test:{HIDDEN}", "https://contit.test:99999",
        "https://contit.test:0", f"https://[::1/{HIDDEN}", f"https://user:{HIDDEN}\u2100@contit.test",
        f"https://con tit.test/{HIDDEN}", f"https://contit.test/{HIDDEN} x", f"https://con\ntit.test/{HIDDEN}",
        f"https://contit.test/\u200b{HIDDEN}",
    ],
    "must be a URL like https://api.contit.cloud": [
        f"ftp://contit.test/{HIDDEN}", f"javascript:{HIDDEN}", "api.contit.cloud", "//api.contit.cloud",
        "https:///path", "https:api.contit.cloud",
    ],
}  # fmt: skip


@pytest.mark.parametrize("value", GOOD)
def test_https_anywhere_and_http_on_this_machine_are_usable(value: str) -> None:
    """Trailing slashes and white space around are dropped."""
    assert usable_url(value) == GOOD[value]


@pytest.mark.parametrize(("reason", "value"), [(reason, value) for reason, values in BAD.items() for value in values])
def test_any_other_address_is_refused_with_its_reason_and_unquoted(reason: str, value: str) -> None:
    """The credential goes there, so it is the operator's alone and encrypted on its way."""
    for name in ("CONTIT_BASE_URL", "CONTIT_TOKEN_URL"):
        with pytest.raises(ConfigurationError) as caught:
            load_settings(environment={name: value})
        assert caught.value.message == f"{name} {reason}."
        assert HIDDEN not in f"{caught.value!r}{caught.value.hint}"
        assert caught.value.__context__ is None


@given(
    st.text(max_size=60)
    | st.from_regex(r"https?://[a-z0-9.@:/\\\[\]?# %]{0,30}", fullmatch=True)
    | st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), st.text(max_size=20), st.text(max_size=20))
)
def test_an_accepted_address_means_the_same_to_httpx(value: str) -> None:
    """No text is taken for one host here and for another where the credential is sent."""
    try:
        accepted = usable_url(value)
    except ValueError as error:
        assert str(error) in BAD  # noqa: PT017 - or it is accepted
        return
    try:
        seen = httpx.URL(accepted)
    except httpx.InvalidURL:
        return  # refused there too, as ConfigurationError by build_http_client
    assert seen.scheme == "https" or (seen.scheme == "http" and seen.host in LOOPBACK)
    assert seen.host
    assert (seen.userinfo, seen.query, seen.fragment) == (b"", b"", "")
