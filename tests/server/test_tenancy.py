"""Owners and sealed ids: who is told apart, what opens, and that nothing else does."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contit_mcp.server.tenancy import Sealer, owner_of_credential, owner_of_name

BASE = "https://api.contit.cloud"
KEY = b"contit-mcp"
OLD, NEW = "o" * 32, "n" * 32
SEALER = Sealer([NEW, OLD])
TEXT = st.text(max_size=256)


def test_the_same_credential_at_the_same_place_is_the_same_owner() -> None:
    """In every process and on every machine: stores keep it, so it is pinned."""
    assert owner_of_credential("key:the-key", BASE, key=KEY) == "f92ebb89bdab29f5db995e1a"
    assert owner_of_name("token", "", "alice", BASE, key=KEY) == "alice~abe04d3c46a18d2fe62b3f6604766767"


CALLERS = [
    ("token", "", "alice", BASE, b"k1"),
    ("token", "", "bob", BASE, b"k1"),
    ("token", "", "Alice", BASE, b"k1"),
    ("token", "", "alice", "https://other.test", b"k1"),
    ("token", "", "alice", BASE, b"k2"),
    ("jwt", "https://one.test", "alice", BASE, b"k1"),
    ("jwt", "https://two.test", "alice", BASE, b"k1"),
    ("jwt", "https://one.test/", "alice", BASE, b"k1"),
    ("jwt", "", "https://one.testalice", BASE, b"k1"),
    ("jwt", "https://one.test", "alice~0123", BASE, b"k1"),
    ("jwt", "https://one.test", "alice ", BASE, b"k1"),
    ("jwt", "https://one.test", "al\x00ice", BASE, b"k1"),
    ("jwt", "https://one.test", "a" * 5_000, BASE, b"k1"),
    ("jwt", "https://one.test", "a" * 5_001, BASE, b"k1"),
]


def test_mode_issuer_name_place_and_seal_key_tell_callers_apart() -> None:
    """Equal names of a token and a JWT, of two issuers, or of two deployments on one store are different owners."""
    owners = [owner_of_name(*caller[:4], key=caller[4]) for caller in CALLERS]
    for (one, a), (other, b) in itertools.combinations(zip(CALLERS, owners, strict=True), 2):
        assert a != b, (one, other)
    assert all(len(owner) <= 120 and owner.isascii() and owner.isprintable() for owner in owners)


def test_the_form_of_a_credential_and_the_seal_key_tell_callers_apart() -> None:
    """The same secret as a key and as a bearer token is two callers."""
    owners = {
        owner_of_credential(identity, place, key=key)
        for identity in ("key:s", "bearer:s", "client:s")
        for place in (BASE, "https://other.test")
        for key in (KEY, b"a seal key")
    }
    assert len(owners) == 12


@given(st.lists(st.text(), min_size=4, max_size=4), st.lists(st.text(), min_size=4, max_size=4))
def test_two_callers_are_never_one_owner(one: list[str], other: list[str]) -> None:
    """Whatever their names contain: no text imitates the boundary between two parts."""
    assume(one != other)
    try:
        owners = [owner_of_name(*each, key=KEY) for each in (one, other)]
    except UnicodeEncodeError:
        return  # a lone surrogate reaches no owner: neither JSON nor a header carries it
    assert owners[0] != owners[1]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6))
def test_an_owner_reveals_nothing_of_its_credential(identity: str) -> None:
    """24 hexadecimal digits."""
    owner = owner_of_credential(identity, BASE, key=KEY)
    assert len(owner) == 24
    assert set(owner) <= set("0123456789abcdef")
    assert identity not in owner


@given(TEXT, TEXT | st.uuids().map(str) | st.uuids().map(lambda found: found.hex))
def test_a_handle_opens_for_its_owner_and_kind_alone(owner: str, text: str) -> None:
    """And is always the same, so that a model can compare."""
    try:
        handle = SEALER.seal("thread", owner, text)
    except UnicodeEncodeError:
        return  # a lone surrogate is no id that JSON could carry
    assert handle == SEALER.seal("thread", owner, text)
    assert handle.isascii()
    assert SEALER.open("thread", owner, handle) == text
    assert SEALER.reveal(handle) == ("thread", text)
    assert SEALER.open("run", owner, handle) is None
    assert SEALER.open("thread", owner + "x", handle) is None


@given(st.text(max_size=300))
def test_no_text_of_anyones_own_making_opens(text: str) -> None:
    """Forged, foreign or raw ids are one thing: unknown."""
    assert SEALER.open("thread", "owner", text) is None
    assert SEALER.open("thread", "owner", f"h1_{text}") is None


@given(st.data())
def test_a_handle_with_any_change_does_not_open(data: st.DataObject) -> None:
    """Cut, longer, or with another character."""
    handle = SEALER.seal("run", "owner", "run_0123456789")
    place = data.draw(st.integers(0, len(handle) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=. \n").filter(lambda c: c != handle[place]))
    for changed in (handle[:place], handle + other, handle[:place] + other + handle[place + 1 :]):
        assert SEALER.open("run", "owner", changed) is None


def test_the_first_key_seals_and_all_open() -> None:
    """So keys are changed without losing a handle."""
    before, during, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    old = before.seal("thread", "owner", "t")
    assert during.open("thread", "owner", old) == "t"
    new = during.seal("thread", "owner", "t")
    assert after.open("thread", "owner", new) == "t"
    assert after.open("thread", "owner", old) is None
    assert before.open("thread", "owner", new) is None


@pytest.mark.parametrize("keys", [[], ["k" * 31], [NEW, ""]])
def test_a_short_key_is_refused(keys: list[str]) -> None:
    """Else it could be tried out."""
    with pytest.raises(ValueError, match="32 characters"):
        Sealer(keys)
