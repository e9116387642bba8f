"""Names of settings as their users write them: which are unknown, and what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import is_unset, load_settings, nearest
from contit_mcp.errors import ConfigurationError

MARKER = "s3cr3t-marker"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CONTIT_MCP_WAIT_SECOND", "CONTIT_MCP_WAIT_SECONDS"),
        ("CONTIT_MCP_LOGLEVEL", "CONTIT_MCP_LOG_LEVEL"),
        ("CONTIT_MCP_MAX_WAIT", "CONTIT_MCP_MAX_WAIT_SECONDS"),
        ("CONTIT_API_KEYS", "CONTIT_API_KEY"),
        ("CONTIT_APIKEY", "CONTIT_API_KEY"),
        ("CONTIT_API_KEY_FLE", "CONTIT_API_KEY_FILE"),
        ("CONTIT_ACCESS_TOKENS", "CONTIT_ACCESS_TOKEN"),
        ("CONTIT_CLIENTID", "CONTIT_CLIENT_ID"),
        ("CONTIT_BASEURL", "CONTIT_BASE_URL"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_known_one(name: str, meant: str) -> None:
    """Neither is its value told: it may be a secret."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={name: MARKER})
    assert caught.value.message == f"{name} is not a setting of contit-mcp."
    assert caught.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize("service", ["CONTIT_MCP", "CONTIT_MCP_REDIS", "CONTIT"])
def test_what_kubernetes_writes_of_a_service_of_our_name_is_no_setting(service: str) -> None:
    """Its documentation lists these variables; `CONTIT_MCP_PORT=tcp://…` kept every pod from starting."""
    written = {
        "SERVICE_HOST": "10.96.7.8",
        "SERVICE_PORT": "80",
        "SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.96.7.8:80",
        "PORT_80_TCP": "tcp://10.96.7.8:80",
        "PORT_80_TCP_PROTO": "tcp",
        "PORT_80_TCP_PORT": "80",
        "PORT_80_TCP_ADDR": "10.96.7.8",
    }
    links = {f"{service}_{name}": value for name, value in written.items()}
    assert load_settings(environment=links) == load_settings(environment={})
    assert load_settings(environment={**links, "CONTIT_MCP_PORT": "8001"}).port == 8001


def test_a_port_that_is_wrong_otherwise_is_still_refused() -> None:
    """Only what Kubernetes writes is passed over."""
    with pytest.raises(ConfigurationError, match="CONTIT_MCP_PORT"):
        load_settings(environment={"CONTIT_MCP_PORT": "http://10.96.7.8"})


def test_all_of_the_servers_prefix_is_ours() -> None:
    """A `CONTIT_MCP_…` that is like no setting is refused as well."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={"CONTIT_MCP_XYZZY": "1"})
    assert caught.value.hint == "contit-mcp settings lists every setting."


@pytest.mark.parametrize(
    "name", ["CONTIT_WORKSPACE", "CONTIT_CLI_HOME", "CONTIT", "CONTITAPIKEY", "XCONTIT_API_KEYS", "PATH"]
)
def test_variables_of_other_programs_are_left_alone(name: str) -> None:
    """Contit has other tools, and they have variables."""
    load_settings(environment={name: "anything"})


def test_an_unknown_variable_that_is_blank_is_left_alone() -> None:
    """Nobody meant anything by it."""
    load_settings(environment={"CONTIT_MCP_XYZZY": " ", "CONTIT_API_KEYS": "${CONTIT_API_KEYS}"})


@pytest.mark.parametrize("written", ["null", "undefined", " null "])
def test_what_a_javascript_host_makes_of_a_blank_field_means_not_set(written: str) -> None:
    """Hosts of bundles turn every field into text: `String(null)` for a number left blank (seen in mcpb 2.1.2)."""
    assert is_unset(written)
    assert load_settings(environment={"CONTIT_MCP_WAIT_SECONDS": written}).wait_seconds is None


def test_the_first_unknown_variable_by_name_is_told() -> None:
    """So that the message is the same each time."""
    with pytest.raises(ConfigurationError, match="CONTIT_MCP_AAA"):
        load_settings(environment={"CONTIT_MCP_ZZZ": "1", "CONTIT_MCP_AAA": "1"})


@given(st.text(max_size=30))
def test_any_name_has_at_most_one_nearest(name: str) -> None:
    """A known one, or none."""
    known = ["CONTIT_API_KEY", "CONTIT_BASE_URL"]
    assert nearest(name, known) in {*known, None}
    assert nearest("CONTIT_API_KEY", known) == "CONTIT_API_KEY"


@given(st.text(max_size=30))
def test_only_blank_text_and_placeholders_are_unset(value: str) -> None:
    """A value without their marks always counts as set, two words of JavaScript aside."""
    assert is_unset(None)
    if value.strip() not in {"", "null", "undefined"} and not any(mark in value for mark in "$%{"):
        assert not is_unset(value)
