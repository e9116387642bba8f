"""Each alert rings when what it is for happens, and no other one with it; on a quiet day none does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.rules.tree import ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="needs promtool (Debian: apt-get install prometheus), which computes alerts",
)

ALERTS = ROOT / "configs" / "prometheus" / "alerts.yaml"
NAMES = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
TARGET = 'job="contit-mcp",instance="10.0.0.7:9090"'

QUIET = {
    "contit_mcp_ready": "1x60",
    'contit_mcp_build_info version="0.1.0",store="redis",schema="3"': "1x60",
    'contit_runs_total end="completed"': "0+60x60",
    'contit_runs_total end="run_failed"': "0x60",
    "contit_mcp_contit_reachable": "1x60",
    "contit_mcp_store_usable": "1x60",
    "contit_mcp_store_slow": "0x60",
    "contit_mcp_store_oldest_seconds": "0x60",
    "contit_mcp_limits_local_only": "0x60",
    **{
        f'{name}_bucket le="{bound}"{labels}': "0+600x60"
        for name, labels in (
            ("contit_mcp_upstream_seconds", ',endpoint="status"'),
            ("contit_mcp_connection_wait_seconds", ""),
            ("contit_mcp_event_loop_lag_seconds", ""),
        )
        for bound in ("0.1", "5", "+Inf")
    },
    "process_start_time_seconds": "100x60",
    "process_cpu_seconds_total": "0+6x60",
    "process_open_fds": "100x60",
    "process_max_fds": "65536x60",
    "contit_mcp_crashed_calls_total": "0x60",
    "contit_mcp_unknown_starts_total": "0x60",
    "contit_mcp_store_errors_total": "0x60",
    "contit_mcp_callers_left_total": "0x60",
    'contit_mcp_requests_under_way kind="call"': "100x60",
    'contit_mcp_requests_under_way kind="listener"': "300x60",
    "contit_mcp_requests_under_way_limit": "2000x60",
    'contit_mcp_calls_total tool="contit_ask",outcome="completed"': "0+60x60",
    'contit_mcp_calls_total tool="contit_ask",outcome="ThreadBusyError"': "0+30x60",
    'contit_mcp_upstream_requests_total status="200"': "0+600x60",
    'contit_mcp_http_requests_total path="/mcp",status="200"': "0+100x60",
}
"""An hour of one replica, in steps of a minute: `first+step x times`. Callers' own mistakes are part of it."""

TROUBLE = {
    "ContitMcpRestarting": ("process_start_time_seconds", "100x40 200x3 300x3 400x14"),
    "ContitMcpCrashedCalls": ("contit_mcp_crashed_calls_total", "0x50 1x10"),
    "ContitMcpQuestionsFail": ('contit_runs_total end="run_failed"', "0+10x60"),
    "ContitMcpContitUnreachable": ("contit_mcp_contit_reachable", "1x55 0x5"),
    "ContitMcpContitSlow": ('contit_mcp_upstream_seconds_bucket le="0.1",endpoint="status"', "0+60x60"),
    "ContitMcpConnectionsShort": ('contit_mcp_connection_wait_seconds_bucket le="0.1"', "0+60x60"),
    "ContitMcpStoreSlow": ("contit_mcp_store_slow", "0x50 1x10"),
    "ContitMcpLimitsLocalOnly": ("contit_mcp_limits_local_only", "0x50 1x10"),
    "ContitMcpSchemasDiffer": ('contit_mcp_build_info version="0.2.0",store="redis",schema="4"', "1x60"),
    "ContitMcpEventLoopLags": ('contit_mcp_event_loop_lag_seconds_bucket le="0.1"', "0+60x60"),
    "ContitMcpCallsFail": ('contit_mcp_calls_total tool="contit_ask",outcome="APITimeoutError"', "0+10x60"),
    "ContitMcpCredentialRefused": ('contit_mcp_upstream_requests_total status="401"', "0+900x60"),
    "ContitMcpThrottledByContit": ('contit_mcp_upstream_requests_total status="429"', "0+100x60"),
    "ContitMcpContitFails": ('contit_mcp_upstream_requests_total status="none"', "0+100x60"),
    "ContitMcpUnknownStarts": ("contit_mcp_unknown_starts_total", "0x50 1x10"),
    "ContitMcpStoreFails": ("contit_mcp_store_errors_total", "0+2x60"),
    "ContitMcpNearlyFull": ('contit_mcp_requests_under_way kind="call"', "1700x60"),
    "ContitMcpProcessorBusy": ("process_cpu_seconds_total", "0+57x60"),
    "ContitMcpFilesNearlyOut": ("process_open_fds", "60000x60"),
    "ContitMcpAnswersLate": ('contit_mcp_calls_total tool="contit_ask",outcome="in_progress"', "0+200x60"),
    "ContitMcpCallersLeave": ("contit_mcp_callers_left_total", "0+40x60"),
    "ContitMcpCallersRefused": ('contit_mcp_rejected_requests_total reason="invalid_token"', "0+90x60"),
    "ContitMcpCallersThrottled": ('contit_mcp_rejected_requests_total reason="too_many_calls"', "0+90x60"),
    "ContitMcpNobodyCanSignIn": ('contit_mcp_rejected_requests_total reason="tokens_unusable"', "0+5x60"),
}
"""The one thing that is otherwise."""


def ringing(hour: dict[str, str], folder: Path) -> set[str]:
    series = [
        {"series": f"{name}{{{','.join(filter(None, [TARGET, labels]))}}}", "values": values}
        for (name, _, labels), values in ((key.partition(" "), values) for key, values in hour.items())
    ]
    expected = [{"eval_time": "58m", "alertname": name, "exp_alerts": []} for name in NAMES]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": expected}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    ended = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    found = set(re.findall(r'alertname="(\w+)"', said))
    assert bool(found) == bool(ended.returncode), said
    return found


def test_a_quiet_hour_rings_nothing(tmp_path: Path) -> None:
    assert ringing(QUIET, tmp_path) == set()


@pytest.mark.parametrize("name", TROUBLE)
def test_one_trouble_rings_one_alert(name: str, tmp_path: Path) -> None:
    series, values = TROUBLE[name]
    assert ringing(QUIET | {series: values}, tmp_path) == {name}


def test_a_replica_that_is_not_ready_is_no_outage_while_another_is(tmp_path: Path) -> None:
    other = {'contit_mcp_ready pod="other"': "1x60"}
    assert ringing(QUIET | other | {"contit_mcp_ready": "0x60"}, tmp_path) == {"ContitMcpNotReady"}
    assert ringing(QUIET | {"contit_mcp_ready": "0x60"}, tmp_path) == {"ContitMcpNotReady", "ContitMcpDown"}


def test_every_alert_is_tried() -> None:
    assert TROUBLE.keys() | {"ContitMcpDown", "ContitMcpNotReady"} == NAMES
