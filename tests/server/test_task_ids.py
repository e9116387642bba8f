"""The ids of tasks: what opens, for whom, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.config.settings import load_settings
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.wire import id_problem
from contit_mcp.server.bridge import open_bridge
from contit_mcp.server.handles import Sealer
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.server.task_ids import TTL_SECONDS, TaskId, key_from, open_task_id

SEALER = Sealer(["k" * 32])
OWNER = "owner"
CONTITS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256).filter(
    lambda t: not id_problem(t)
)
TIME = st.integers(0, 2**45)
TASK = st.builds(TaskId, CONTITS, CONTITS, TIME)


@given(TASK, st.floats(0.0, TTL_SECONDS - 1))
def test_an_id_opens_to_what_was_sealed_for_its_owner_within_its_time(task: TaskId, age: float) -> None:
    """Whatever ids Contit gives (documented as opaque); for a day (our choice)."""
    text = task.sealed(SEALER, OWNER)
    assert text.isascii()
    assert text == task.sealed(SEALER, OWNER)
    now = task.created_at + age
    assert open_task_id(text, SEALER, OWNER, now=now) == task
    assert open_task_id(text, SEALER, OWNER + "x", now=now) is None
    assert open_task_id(text, Sealer(["l" * 32]), OWNER, now=now) is None
    assert open_task_id(text, SEALER, OWNER, now=task.created_at + TTL_SECONDS + 1) is None


@given(TASK, st.data())
def test_an_id_that_was_changed_anywhere_is_none(task: TaskId, data: st.DataObject) -> None:
    """It is authenticated (our choice)."""
    text = task.sealed(SEALER, OWNER)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABab09-_=").filter(lambda c: c != text[place]))
    for changed in (text[:place], text + other, text[:place] + other + text[place + 1 :]):
        assert open_task_id(changed, SEALER, OWNER, now=task.created_at) is None


@given(st.text())
def test_no_text_of_anyones_own_making_is_an_id(text: str) -> None:
    """Nor a handle of another kind (our choice)."""
    assert open_task_id(text, SEALER, OWNER, now=0.0) is None
    try:
        thread = SEALER.seal("thread", OWNER, f"0\nt\n{text}")
    except UnicodeEncodeError:
        return  # a lone surrogate is no id that JSON could carry
    assert open_task_id(thread, SEALER, OWNER, now=0.0) is None


@given(TASK, TASK)
def test_different_tasks_have_different_ids(one: TaskId, other: TaskId) -> None:
    """Also of the same run (our choice)."""
    assert (one == other) == (one.sealed(SEALER, OWNER) == other.sealed(SEALER, OWNER))


def test_the_longest_ids_of_contit_fit() -> None:
    """Two of 256 characters, each of the longest spelling (our choice of the bound on handles)."""
    task = TaskId("\U0001f600" * 256, "\U0001f600" * 256, 2**45)
    assert open_task_id(task.sealed(SEALER, OWNER), SEALER, OWNER, now=task.created_at) == task


@pytest.mark.parametrize("identity", ["", "key", "k" * 500])
def test_a_key_made_of_a_credential_seals_and_tells_nothing_of_it(identity: str) -> None:
    """Any process with the credential makes the same one (our choice)."""
    key = key_from(identity)
    assert Sealer([key])
    assert key == key_from(identity) != key_from(identity + "x")
    assert not identity or identity not in key


@pytest.mark.anyio
async def test_where_callers_bring_their_own_credential_each_has_a_key_of_its_own() -> None:
    """And the same one in every process, without any setting (our choice)."""
    configured = load_settings(environment={"CONTIT_BASE_URL": "http://localhost", "CONTIT_MCP_STORE": "memory"})
    task = TaskId("thread", "run", 0)
    async with (
        open_bridge(configured, sharing=Sharing.BY_CREDENTIAL) as one,
        open_bridge(configured, sharing=Sharing.BY_CREDENTIAL) as other,
    ):
        ids = {}
        for name, bridge in (("one", one), ("other", other)):
            for key in ("ada's", "bob's"):
                assistant = bridge.for_caller(Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=key))))
                ids[name, key] = task.sealed(assistant.task_sealer(), assistant.owner)
    assert ids["one", "ada's"] == ids["other", "ada's"] != ids["one", "bob's"]
