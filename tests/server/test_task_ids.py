"""The ids of tasks: what opens, for whom, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.wire import id_problem
from contit_mcp.server.context import AppContext
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.server.tenancy import TASK_SECONDS, Sealer, TaskId, Tenant, sealer_of_credential
from tests.stage import set_stage

SEALER = Sealer(["k" * 32])
OWNER = "owner"
CONTITS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256).filter(
    lambda t: not id_problem(t)
)
TIME = st.integers(0, 2**45)
TASK = st.builds(TaskId, CONTITS, CONTITS, TIME)


def tenant(owner: str = OWNER, sealer: Sealer = SEALER) -> Tenant:
    """Return an owner's view; ids need no assistant."""
    return Tenant(set_stage().assistant, owner, owner, task_sealer=lambda: sealer)


@given(TASK, st.floats(0.0, TASK_SECONDS - 1))
def test_an_id_opens_to_what_was_sealed_for_its_owner_within_its_time(task: TaskId, age: float) -> None:
    """Whatever ids Contit gives (documented as opaque); for a day."""
    text = tenant().task_handle(task)
    assert text.isascii()
    assert text == tenant().task_handle(task)
    now = task.created_at + age
    assert tenant().open_task(text, now=now) == task
    assert tenant(OWNER + "x").open_task(text, now=now) is None
    assert tenant(sealer=Sealer(["l" * 32])).open_task(text, now=now) is None
    assert tenant().open_task(text, now=task.created_at + TASK_SECONDS + 1) is None


@given(TASK, st.data())
def test_an_id_that_was_changed_anywhere_is_none(task: TaskId, data: st.DataObject) -> None:
    """It is authenticated."""
    text = tenant().task_handle(task)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABab09-_=").filter(lambda c: c != text[place]))
    for changed in (text[:place], text + other, text[:place] + other + text[place + 1 :]):
        assert tenant().open_task(changed, now=task.created_at) is None


@given(st.text())
def test_no_text_of_anyones_own_making_is_an_id(text: str) -> None:
    """Nor a handle of another kind."""
    assert tenant().open_task(text, now=0.0) is None
    try:
        thread = SEALER.seal("thread", OWNER, f"0\nt\n{text}")
    except UnicodeEncodeError:
        return  # a lone surrogate is no id that JSON could carry
    assert tenant().open_task(thread, now=0.0) is None


@given(TASK, TASK)
def test_different_tasks_have_different_ids(one: TaskId, other: TaskId) -> None:
    """Also of the same run."""
    assert (one == other) == (tenant().task_handle(one) == tenant().task_handle(other))


def test_the_longest_ids_of_contit_fit() -> None:
    """Two of 256 characters, each of the longest spelling (the bound on handles)."""
    task = TaskId("\U0001f600" * 256, "\U0001f600" * 256, 2**45)
    assert tenant().open_task(tenant().task_handle(task), now=task.created_at) == task


@pytest.mark.parametrize("identity", ["", "key", "k" * 500])
def test_a_key_made_of_a_credential_seals_and_tells_nothing_of_it(identity: str) -> None:
    """Any process with the credential makes the same one."""
    handles = [sealer_of_credential(text).seal("task", OWNER, "t") for text in (identity, identity, identity + "x")]
    assert handles[0] == handles[1] != handles[2]
    assert not identity or identity not in handles[0]


@pytest.mark.anyio
async def test_where_callers_bring_their_own_credential_each_has_a_key_of_its_own() -> None:
    """And the same one in every process, without any setting."""
    configured = load_settings(environment={"CONTIT_BASE_URL": "http://localhost", "CONTIT_MCP_STORE": "memory"})
    task = TaskId("thread", "run", 0)
    async with (
        AppContext(configured, sharing=Sharing.BY_CREDENTIAL) as one,
        AppContext(configured, sharing=Sharing.BY_CREDENTIAL) as other,
    ):
        ids = {}
        for name, context in (("one", one), ("other", other)):
            for key in ("ada's", "bob's"):
                caller = Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=key)))
                ids[name, key] = context.tenant(caller).task_handle(task)
    assert ids["one", "ada's"] == ids["other", "ada's"] != ids["one", "bob's"]
