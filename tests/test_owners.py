"""Who asks: one name for the same credential at the same place, which tells nothing of the credential."""

from contit_mcp.server.owners import fingerprint_owner
from hypothesis import assume, given
from hypothesis import strategies as st

BASE = "https://api.contit.cloud"


def test_the_same_credential_at_the_same_place_is_the_same_owner() -> None:
    """In every process and on every machine; pinned, since stores keep it (our choice)."""
    assert fingerprint_owner("the-key", BASE) == fingerprint_owner("the-key", BASE)
    assert fingerprint_owner("the-key", BASE) == "3ee2f40c4c88bdf33165397c"


def test_another_credential_place_or_seal_key_is_another_owner() -> None:
    """A workspace behind the same credential is one of its own (our choice)."""
    owners = {
        fingerprint_owner("the-key", BASE),
        fingerprint_owner("other-key", BASE),
        fingerprint_owner("the-key", "https://other.test"),
        fingerprint_owner("the-key", BASE, key=b"a seal key"),
        fingerprint_owner("", BASE),
    }
    assert len(owners) == 5


@given(st.text(), st.text(), st.text(), st.text())
def test_two_callers_are_never_one_owner(identity: str, base_url: str, other: str, other_url: str) -> None:
    """Whatever their names hold; a base URL has no line break (our choice)."""
    assume((identity, base_url) != (other, other_url))
    assume("\n" not in base_url + other_url)
    assert fingerprint_owner(identity, base_url) != fingerprint_owner(other, other_url)


@given(st.text(min_size=6))
def test_an_owner_tells_nothing_of_its_credential(identity: str) -> None:
    """24 hexadecimal digits (our choice)."""
    owner = fingerprint_owner(identity, BASE)
    assert len(owner) == 24
    assert set(owner) <= set("0123456789abcdef")
    assert identity not in owner
