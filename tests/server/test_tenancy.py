"""Owners and sealed ids: which callers are different owners, and which handles open."""

import itertools
import uuid

from hypothesis import assume, given
from hypothesis import strategies as st

from contit_mcp.contit.wire import id_problem
from contit_mcp.server.tasks import TaskId
from contit_mcp.server.tenancy import Sealer, owner_of_credential, owner_of_name

BASE = "https://api.contit.cloud"
KEY = b"contit-mcp"
OLD, NEW = "o" * 32, "n" * 32
SEALER = Sealer([NEW, OLD])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)  # JSON and headers carry no lone surrogate
CONTIT_IDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256).filter(
    lambda text: not id_problem(text)
)
ONE, TWO = "https://one.test", "https://two.test"
CALLERS = [  # mode, issuer, name, base URL, seal key
    *(("token", "", "alice", BASE, key) for key in (b"k1", b"k2")),
    ("token", "", "Alice", BASE, b"k1"),
    ("token", "", "alice", ONE, b"k1"),
    *(("jwt", issuer, "alice", BASE, b"k1") for issuer in (ONE, TWO)),
    *(("jwt", ONE, name, BASE, b"k1") for name in ("alice~0123", "al\x00ice", "a" * 5_000, "a" * 5_001)),
]


def test_an_owner_is_the_same_in_every_process_and_version() -> None:
    """Stores contain owners, so two of them are pinned here."""
    assert owner_of_credential("key:the-key", BASE, key=KEY) == "f92ebb89bdab29f5db995e1a"
    assert owner_of_name("token", "", "alice", BASE, key=KEY) == "alice~abe04d3c46a18d2fe62b3f6604766767"


def test_callers_that_differ_in_mode_issuer_name_base_url_or_seal_key_are_different_owners() -> None:
    """So are the same secret as a key and as a bearer token. An owner reveals nothing of a secret."""
    owners = {owner_of_name(*caller[:4], key=caller[4]) for caller in CALLERS}
    assert len(owners) == len(CALLERS)
    assert all(len(owner) <= 120 and owner.isascii() and owner.isprintable() for owner in owners)
    callers = itertools.product(("key:s", "bearer:s", "client:s"), (BASE, ONE), (KEY, b"a seal key"))
    owners = {owner_of_credential(identity, base_url, key=key) for identity, base_url, key in callers}
    assert len(owners) == 12
    assert all(len(owner) == 24 and set(owner) <= set("0123456789abcdef") for owner in owners)


@given(st.lists(TEXT, min_size=4, max_size=4), st.lists(TEXT, min_size=4, max_size=4))
def test_two_callers_are_never_one_owner(one: list[str], other: list[str]) -> None:
    """No text in a name imitates the boundary between two parts."""
    assume(one != other)
    assert owner_of_name(*one, key=KEY) != owner_of_name(*other, key=KEY)


@given(TEXT, TEXT | st.uuids().map(str) | st.uuids().map(lambda found: found.hex))
def test_a_handle_opens_for_its_owner_and_kind_alone(owner: str, text: str) -> None:
    """A handle is always the same, so that a model can compare it."""
    handle = SEALER.seal("thread", owner, text)
    assert handle == SEALER.seal("thread", owner, text)
    assert handle.isascii()
    assert SEALER.open("thread", owner, handle) == text
    assert SEALER.open("run", owner, handle) is None
    assert SEALER.open("thread", owner + "x", handle) is None
    assert Sealer(["l" * 32]).open("thread", owner, handle) is None


@given(st.text(max_size=300), st.data())
def test_no_made_up_handle_opens(text: str, data: st.DataObject) -> None:
    """Neither any text, nor a handle that was cut, made longer, or changed in one character."""
    handle = SEALER.seal("run", "owner", "run_0123456789")
    place = data.draw(st.integers(0, len(handle) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=. \n").filter(lambda c: c != handle[place]))
    changed = (handle[:place], handle + other, handle[:place] + other + handle[place + 1 :])
    assert {SEALER.open("run", "owner", each) for each in (text, f"h1_{text}", *changed)} == {None}


def test_the_handle_of_a_guid_has_65_characters() -> None:
    """Contit's ids are GUIDs. Sealed as text, they would cost a model twice as many tokens."""
    assert len(SEALER.seal("thread", "owner", str(uuid.UUID(int=7**40)))) == 65


@given(CONTIT_IDS, CONTIT_IDS, st.integers(0, 2**45))
def test_the_id_of_a_task_contains_any_ids_of_contit(thread_id: str, run_id: str, asked_at_ms: int) -> None:
    """They are opaque. Two of 256 characters of four bytes each still fit the longest handle."""
    longest = TaskId("\U0001f600" * 256, "\U0001f600" * 256, 2**45)
    for task in (TaskId(thread_id, run_id, asked_at_ms), longest):
        opened = SEALER.open("task", "owner", SEALER.seal("task", "owner", task.text))
        assert opened is not None
        assert TaskId.read(opened) == task
