"""Names of settings as their users write them: which are unknown, and what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import is_unset, load_settings
from contit_mcp.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CONTIT_MCP_WAIT_SECOND", "Did you mean CONTIT_MCP_WAIT_SECONDS?"),
        ("CONTIT_MCP_LOGLEVEL", "Did you mean CONTIT_MCP_LOG_LEVEL?"),
        ("CONTIT_MCP_MAX_WAIT", "Did you mean CONTIT_MCP_MAX_WAIT_SECONDS?"),
        ("CONTIT_APIKEY", "Did you mean CONTIT_API_KEY?"),
        ("CONTIT_API_KEY_FLE", "Did you mean CONTIT_API_KEY_FILE?"),
        ("CONTIT_ACCESS_TOKENS", "Did you mean CONTIT_ACCESS_TOKEN?"),
        ("CONTIT_CLIENTID", "Did you mean CONTIT_CLIENT_ID?"),
        ("CONTIT_MCP_XYZZY", "contit-mcp settings lists every setting."),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(name: str, hint: str) -> None:
    """All of CONTIT_MCP_… is ours. The value is not told; of several, the first by name is told each time."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={"CONTIT_MCP_ZZZ": "1", name: "s3cr3t-marker"})
    assert caught.value.message == f"{name} is not a setting of contit-mcp."
    assert caught.value.hint == hint


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
    with pytest.raises(ConfigurationError, match="CONTIT_MCP_PORT"):
        load_settings(environment={**links, "CONTIT_MCP_PORT": "http://10.96.7.8"})


def test_variables_of_other_programs_are_left_alone() -> None:
    for name in ("CONTIT_WORKSPACE", "CONTIT_CLI_HOME", "CONTIT", "CONTITAPIKEY", "XCONTIT_API_KEYS", "PATH"):
        load_settings(environment={name: "anything"})


@given(st.text(max_size=30))
def test_a_value_without_the_marks_of_a_placeholder_is_set(value: str) -> None:
    if value.strip() not in {"", "null", "undefined"} and not any(mark in value for mark in "$%{"):
        assert not is_unset(value)
