"""Which addresses Contit can be asked at; a refused one is never quoted, since it may hold a password."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import LOOPBACK, usable_url
from contit_mcp.errors import ConfigurationError

GOOD = {
    "https://api.contit.cloud": "https://api.contit.cloud",
    "https://api.contit.cloud/": "https://api.contit.cloud",
    "https://gateway.test/contit//": "https://gateway.test/contit",
    "HTTPS://API.contit.cloud": "HTTPS://API.contit.cloud",
    "https://contit.test:8443/x": "https://contit.test:8443/x",
    "https://contit": "https://contit",
    "https://contit_test.internal": "https://contit_test.internal",
    "https://10.0.0.7": "https://10.0.0.7",
    "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443",
    "https://bücher.example": "https://bücher.example",
    "http://localhost:8080": "http://localhost:8080",
    "http://LOCALHOST": "http://LOCALHOST",
    "http://127.0.0.1:1": "http://127.0.0.1:1",
    "http://[::1]:8080/": "http://[::1]:8080",
    " https://api.contit.cloud\n": "https://api.contit.cloud",
}

NEEDS_HTTPS = "must begin with https:// (http:// is for this machine only)"
HOLDS_MORE = "must hold no user, password, query or fragment"
NO_URL = "is not a URL"
OTHER = "must be a URL like https://api.contit.cloud"
HIDDEN = "hunter2"

BAD = {
    "http://api.contit.cloud": NEEDS_HTTPS,
    "http://localhost.evil.test": NEEDS_HTTPS,
    "http://127.0.0.1.evil.test": NEEDS_HTTPS,
    "http://127.0.0.2": NEEDS_HTTPS,
    "http://0.0.0.0": NEEDS_HTTPS,
    "http://[::2]": NEEDS_HTTPS,
    "http://[::ffff:127.0.0.1]": NEEDS_HTTPS,
    "http://2130706433": NEEDS_HTTPS,
    "http://localhost.": NEEDS_HTTPS,
    f"https://user:{HIDDEN}@contit.test": HOLDS_MORE,
    f"https://{HIDDEN}@contit.test": HOLDS_MORE,
    f"https://:{HIDDEN}@contit.test": HOLDS_MORE,
    "https://@contit.test": HOLDS_MORE,
    "https://:@contit.test": HOLDS_MORE,
    f"http://localhost:{HIDDEN}@evil.test": HOLDS_MORE,
    "http://localhost@evil.test": HOLDS_MORE,
    f"https://contit.test\\@{HIDDEN}.test": HOLDS_MORE,
    f"https://contit.test?api_key={HIDDEN}": HOLDS_MORE,
    "https://contit.test/?": HOLDS_MORE,
    f"https://contit.test#{HIDDEN}": HOLDS_MORE,
    "https://contit.test/#": HOLDS_MORE,
    f"https://contit.test\\.{HIDDEN}.test": NO_URL,
    f"https://contit.test:{HIDDEN}": NO_URL,
    "https://contit.test:99999": NO_URL,
    "https://contit.test:0": NO_URL,
    f"https://[::1/{HIDDEN}": NO_URL,
    f"https://[{HIDDEN}]": NO_URL,
    f"https://user:{HIDDEN}\u2100@contit.test": NO_URL,
    f"https://con tit.test/{HIDDEN}": NO_URL,
    f"https://contit.test/{HIDDEN} x": NO_URL,
    f"https://contit.test/\n{HIDDEN}": NO_URL,
    f"https://con\ntit.test/{HIDDEN}": NO_URL,
    f"https://contit.test/\u200b{HIDDEN}": NO_URL,
    f"ftp://contit.test/{HIDDEN}": OTHER,
    f"file:///etc/{HIDDEN}": OTHER,
    f"javascript:{HIDDEN}": OTHER,
    "api.contit.cloud": OTHER,
    "//api.contit.cloud": OTHER,
    "https://": OTHER,
    "https:///path": OTHER,
    "https:api.contit.cloud": OTHER,
    HIDDEN: OTHER,
}


@pytest.mark.parametrize("value", GOOD)
def test_https_anywhere_and_http_on_this_machine_are_usable(value: str) -> None:
    """Trailing slashes and white space around are dropped."""
    assert usable_url(value) == GOOD[value]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["CONTIT_BASE_URL", "CONTIT_TOKEN_URL"])
def test_any_other_address_is_refused_with_its_reason_and_unquoted(name: str, value: str) -> None:
    """The credential goes there, so it is the operator's alone and encrypted on its way."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={name: value})
    assert caught.value.message == f"{name} {BAD[value]}."
    chain: BaseException | None = caught.value
    while chain is not None:
        assert HIDDEN not in f"{chain!s}{chain!r}{chain.args}{getattr(chain, 'hint', '')}"
        chain = chain.__cause__ or chain.__context__


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
        assert str(error) in {NEEDS_HTTPS, HOLDS_MORE, NO_URL, OTHER}  # noqa: PT017 - or it is accepted
        return
    try:
        seen = httpx.URL(accepted)
    except httpx.InvalidURL:
        return  # refused there too, as ConfigurationError by build_http_client
    assert seen.scheme in {"http", "https"}
    assert seen.scheme == "https" or seen.host in LOOPBACK
    assert seen.host
    assert (seen.userinfo, seen.query, seen.fragment) == (b"", b"", "")
