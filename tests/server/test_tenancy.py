"""Owners and sealed ids: who is told apart, what opens, and that nothing else does."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.wire import id_problem
from contit_mcp.errors import ConfigurationError
from contit_mcp.server.context import AppContext, Caller
from contit_mcp.server.tasks import TaskId
from contit_mcp.server.tenancy import Sealer, owner_of_credential, owner_of_name

BASE = "https://api.contit.cloud"
KEY = b"contit-mcp"
OLD, NEW = "o" * 32, "n" * 32
SEALER = Sealer([NEW, OLD])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)  # JSON and headers carry no lone surrogate
CONTITS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256).filter(
    lambda text: not id_problem(text)
)


def test_the_same_credential_at_the_same_place_is_the_same_owner() -> None:
    """In every process and on every machine: stores keep it, so it is pinned."""
    assert owner_of_credential("key:the-key", BASE, key=KEY) == "f92ebb89bdab29f5db995e1a"
    assert owner_of_name("token", "", "alice", BASE, key=KEY) == "alice~abe04d3c46a18d2fe62b3f6604766767"


ONE, TWO = "https://one.test", "https://two.test"
CALLERS = [
    *(("token", "", "alice", BASE, key) for key in (b"k1", b"k2")),
    ("token", "", "Alice", BASE, b"k1"),
    ("token", "", "alice", ONE, b"k1"),
    *(("jwt", issuer, "alice", BASE, b"k1") for issuer in (ONE, TWO)),
    *(("jwt", ONE, name, BASE, b"k1") for name in ("alice~0123", "al\x00ice", "a" * 5_000, "a" * 5_001)),
]


def test_mode_issuer_name_place_and_seal_key_tell_callers_apart() -> None:
    """Equal names of a token and a JWT, of two issuers, or of two deployments on one store are different owners.

    The same secret as a key and as a bearer token is two callers; an owner reveals nothing of it.
    """
    owners = {owner_of_name(*caller[:4], key=caller[4]) for caller in CALLERS}
    assert len(owners) == len(CALLERS)
    assert all(len(owner) <= 120 and owner.isascii() and owner.isprintable() for owner in owners)
    callers = itertools.product(("key:s", "bearer:s", "client:s"), (BASE, ONE), (KEY, b"a seal key"))
    owners = {owner_of_credential(identity, place, key=key) for identity, place, key in callers}
    assert len(owners) == 12
    assert all(len(owner) == 24 and set(owner) <= set("0123456789abcdef") for owner in owners)


@given(st.lists(TEXT, min_size=4, max_size=4), st.lists(TEXT, min_size=4, max_size=4))
def test_two_callers_are_never_one_owner(one: list[str], other: list[str]) -> None:
    """Whatever their names contain: no text imitates the boundary between two parts."""
    assume(one != other)
    assert owner_of_name(*one, key=KEY) != owner_of_name(*other, key=KEY)


@given(TEXT, TEXT | st.uuids().map(str) | st.uuids().map(lambda found: found.hex))
def test_a_handle_opens_for_its_owner_and_kind_alone(owner: str, text: str) -> None:
    """And is always the same, so that a model can compare."""
    handle = SEALER.seal("thread", owner, text)
    assert handle == SEALER.seal("thread", owner, text)
    assert handle.isascii()
    assert SEALER.open("thread", owner, handle) == text
    assert SEALER.open("run", owner, handle) is None
    assert SEALER.open("thread", owner + "x", handle) is None
    assert Sealer(["l" * 32]).open("thread", owner, handle) is None


@given(st.text(max_size=300), st.data())
def test_no_text_of_anyones_own_making_opens(text: str, data: st.DataObject) -> None:
    """Forged, foreign or raw ids, and a handle that was cut, is longer or has another character: all are unknown."""
    handle = SEALER.seal("run", "owner", "run_0123456789")
    place = data.draw(st.integers(0, len(handle) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=. \n").filter(lambda c: c != handle[place]))
    changed = (handle[:place], handle + other, handle[:place] + other + handle[place + 1 :])
    assert {SEALER.open("run", "owner", each) for each in (text, f"h1_{text}", *changed)} == {None}


def test_the_first_key_seals_all_open_and_none_is_short() -> None:
    """So keys are changed without losing a handle, and cannot be tried out."""
    before, during, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    old, new = before.seal("thread", "owner", "t"), during.seal("thread", "owner", "t")
    assert during.open("thread", "owner", old) == after.open("thread", "owner", new) == "t"
    assert after.open("thread", "owner", old) is before.open("thread", "owner", new) is None
    for keys in (["k" * 31], [NEW, ""]):
        with pytest.raises(ConfigurationError, match="32 characters"):
            Sealer(keys)


@given(CONTITS, CONTITS, st.integers(0, 2**45))
def test_the_id_of_a_task_holds_whatever_ids_contit_gives(thread_id: str, run_id: str, asked_at_ms: int) -> None:
    """Documented as opaque. Two of 256 characters, each of the longest spelling, fit the bound on handles."""
    longest = TaskId("\U0001f600" * 256, "\U0001f600" * 256, 2**45)
    for task in (TaskId(thread_id, run_id, asked_at_ms), longest):
        opened = SEALER.open("task", "owner", SEALER.seal("task", "owner", task.text))
        assert opened is not None
        assert TaskId.read(opened) == task


@pytest.mark.anyio
async def test_where_callers_bring_their_own_credential_each_has_a_key_of_its_own() -> None:
    """And the same one in every process, without any setting; a handle reveals nothing of the credential."""
    configured = load_settings(environment={"CONTIT_BASE_URL": "http://localhost", "CONTIT_MCP_STORE": "memory"})
    handles = [
        AppContext(configured, auth="caller")
        .services()
        .tenant(Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=key))))
        .task_sealer()
        .seal("task", "owner", "text")
        for key in ("ada's", "ada's", "bob's")
    ]
    assert handles[0] == handles[1] != handles[2]
