"""Alerts and dashboard: they query what the server exports; each alert fires for its own trouble and has a runbook."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any, TypeVar

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from contit_mcp import errors
from contit_mcp.http.app import KNOWN_PATHS
from contit_mcp.telemetry.metrics import RUN_ENDS
from tests.children import INITIALIZE, QUESTION, TOKEN_MODE, TOKENS, Served, contit
from tests.deployment.manifests import GUIDE
from tests.rules.tree import PACKAGE, ROOT

OUTCOMES = {name for name in vars(errors) if name.endswith("Error")}
OUTCOMES |= {"completed", "in_progress", "failed", "cancelled"}
ALERTS = ROOT / "configs" / "prometheus" / "alerts.yaml"
GROUPS = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
NAMES = {rule["alert"] for rule in RULES}
TARGET = {"job", "instance"}  # labels that Prometheus adds to what it scrapes

T = TypeVar("T")
Exported = dict[str, set[str]]  # the labels of each metric


def expressions() -> dict[str, str]:
    """Return every expression of alerts and dashboard by its place, with Grafana's variables replaced."""
    found = {rule["alert"]: rule["expr"] for rule in RULES}
    board = json.loads((ROOT / "configs" / "grafana" / "contit-mcp.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel.get("targets", [])}
    found |= {each["name"]: each["expr"] for each in board["annotations"]["list"]}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert asked, variable["definition"]
            found[f"variable {variable['name']}"] = f"sum by ({asked[2]}) ({asked[1]})"
    return {place: text.replace("$__rate_interval", "5m") for place, text in found.items()}


def nodes(expression: str, kind: type[T]) -> list[T]:
    """Return every node of this kind in the syntax tree of an expression."""
    found: list[promql.Expr] = []
    promql.walk(promql.parse(expression), found.append)
    return [node for node in found if isinstance(node, kind)]


def selectors(expression: str) -> list[promql.VectorSelector]:
    """Return every node that names a metric."""
    ranges = [node.vector_selector for node in nodes(expression, promql.MatrixSelector)]
    return [*nodes(expression, promql.VectorSelector), *ranges]


def labels_in(expression: str, exported: Exported) -> tuple[set[str], set[str]]:
    """Return the labels by which an expression aggregates, and those that its result has."""
    named: set[str] = set()
    left = TARGET.union(*(exported[selector.name or ""] for selector in selectors(expression)))
    for node in nodes(expression, promql.AggregateExpr):
        given = set(node.modifier.labels if node.modifier else ())
        without = node.modifier and node.modifier.type == promql.AggModifierType.Without
        named |= given
        left = left - given if without else left & given
    return named, left


@pytest.fixture(scope="module")
def exported() -> Exported:
    """Return the metrics of a running server after a call and a refused request."""
    with contit() as upstream:
        settings = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "sqlite"}
        with Served(TOKEN_MODE | settings) as server:
            anna = {"authorization": f"Bearer {TOKENS['anna']}"}
            assert server.call("contit_ask", {"prompt": QUESTION}, **anna)["structuredContent"]["status"] == "completed"
            assert server.post(INITIALIZE).status_code == 401
            text = server.http.get(f"{server.base}/metrics").text
    found: Exported = defaultdict(set)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return dict(found)


def test_every_expression_queries_what_the_running_server_exports(exported: Exported) -> None:
    """Each metric and each label, also in an alert's texts; every exported metric is queried somewhere."""
    queried = set()
    for place, text in expressions().items():
        names = {selector.name or "" for selector in selectors(text)}
        assert names <= exported.keys(), place
        queried |= names
        matched = {matcher.name for selector in selectors(text) for matcher in selector.matchers.matchers}
        assert matched | labels_in(text, exported)[0] <= TARGET.union(*(exported[name] for name in names)), place
    for rule in RULES:  # `$labels.instance` of a sum over all instances is empty
        shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert shown <= labels_in(rule["expr"], exported)[1], rule["alert"]
    unused = {name for name in exported.keys() - queried if name.startswith("contit_")}
    assert not {name for name in unused if not name.endswith(("_created", "_sum", "_count"))}


def test_every_label_value_that_is_queried_can_occur() -> None:
    """Outcomes are classes of errors, and reasons are words of the code that refuses requests."""
    source = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "http").glob("*.py"))
    tools = set(re.findall(r"\bcontit_\w+", (PACKAGE / "server" / "tools.py").read_text(encoding="utf-8")))
    can_be = {
        "outcome": lambda word: word in OUTCOMES,
        "reason": lambda word: f'"{word}"' in source,
        "tool": lambda word: word in tools,
        "path": lambda word: word in KNOWN_PATHS,
        "status": lambda word: bool(re.fullmatch(r"[1-5]\d\d|none", word)),
        "end": lambda word: word in RUN_ENDS,
    }
    for place, text in expressions().items():
        for matcher in (each for selector in selectors(text) for each in selector.matchers.matchers):
            for word in matcher.value.split("|") if matcher.name in can_be else ():
                if re.fullmatch(r"[\w/]+", word):
                    assert can_be[matcher.name](word), (place, matcher.name, word)


def test_every_alert_is_tried_below_and_has_a_runbook() -> None:
    """The runbook is the section of its name in docs/deployment.md."""
    assert TROUBLE.keys() | {"ContitMcpDown", "ContitMcpNotReady"} == NAMES
    runbooks = dict(re.findall(r"^### (ContitMcp\w+)\n((?:(?!#).*\n?)*)", GUIDE, flags=re.MULTILINE))
    assert runbooks.keys() == NAMES
    assert not [name for name, text in runbooks.items() if len(text.strip()) < 80]
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/deployment.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


# --- which alert fires

SCRAPED = 'job="contit-mcp",instance="10.0.0.7:9090"'

STAY_AT_0 = (
    "contit_mcp_store_slow", "contit_mcp_store_oldest_seconds", "contit_mcp_store_errors_total",
    "contit_mcp_limits_local_only", "contit_mcp_crashed_calls_total", "contit_mcp_unknown_starts_total",
    "contit_mcp_callers_left_total", 'contit_runs_total end="run_failed"',
)  # fmt: skip
QUIET = {
    **dict.fromkeys(STAY_AT_0, "0x60"),
    "contit_mcp_ready": "1x60",
    'contit_mcp_build_info version="0.1.0",store="redis",schema="3"': "1x60",
    'contit_runs_total end="completed"': "0+60x60",
    "contit_mcp_contit_reachable": "1x60",
    "contit_mcp_store_usable": "1x60",
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
    'contit_mcp_requests_under_way kind="call"': "100x60",
    'contit_mcp_requests_under_way kind="listener"': "300x60",
    "contit_mcp_requests_under_way_limit": "2000x60",
    'contit_mcp_calls_total tool="contit_ask",outcome="completed"': "0+60x60",
    'contit_mcp_calls_total tool="contit_ask",outcome="ThreadBusyError"': "0+30x60",
    'contit_mcp_upstream_requests_total status="200"': "0+600x60",
    'contit_mcp_http_requests_total path="/mcp",status="200"': "0+100x60",
}
"""A quiet hour of one replica, with callers' mistakes: values by series, in minutes (`first+step x times`)."""

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
"""For each alert the one series that differs from the quiet hour."""


def firing(hour: dict[str, str], folder: Path) -> set[str]:
    """Return the alerts that fire at the end of the hour, as promtool computes them."""
    series = [
        {"series": f"{name}{{{','.join(filter(None, [SCRAPED, labels]))}}}", "values": values}
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


NOT_READY = {"contit_mcp_ready": "0x60"}
FIRING = [
    ({}, ""),
    *(({series: values}, name) for name, (series, values) in TROUBLE.items()),
    (NOT_READY | {'contit_mcp_ready pod="other"': "1x60"}, "ContitMcpNotReady"),
    (NOT_READY, "ContitMcpNotReady ContitMcpDown"),
]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: apt-get install prometheus)")
@pytest.mark.parametrize(("trouble", "names"), FIRING, ids=[names or "quiet" for _, names in FIRING])
def test_a_trouble_fires_its_alert_and_a_quiet_hour_none(trouble: dict[str, str], names: str, tmp_path: Path) -> None:
    """A replica that is not ready is no outage while another one is ready."""
    assert firing(QUIET | trouble, tmp_path) == set(names.split())
