"""What logs, metrics and traces tell of an ask: the same trace id in all of them, and nothing of its content."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contit_mcp.sandbox.options import Fault, SandboxOptions
from tests.children import ERAS, QUESTION, Served, caller, deployment, message_of, on_port, request_of, result_in, runs

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOURCES = ("headers", "meta", "nowhere")
MARKER = "sEcReT-mArKeR"
DEBUG = {"CONTIT_MCP_LOG_LEVEL": "DEBUG"}
WITHOUT_SDK = "import sys; sys.modules['opentelemetry.sdk'] = None; from contit_mcp.cli.main import main; main()"


@dataclass
class Collector:
    hangs: bool = False
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        export = ExportTraceServiceRequest.FromString(await request.body())
        self.spans += [span for each in export.resource_spans for scope in each.scope_spans for span in scope.spans]
        if self.hangs:
            await anyio.sleep(60)
        return Response(media_type="application/x-protobuf")

    def check_tree(self, source: str, trace_id: str) -> None:
        """Check the spans of one ask: request, then tool, then requests to Contit, each the parent of the next."""
        spans = [span for span in self.spans if span.trace_id.hex() == trace_id]
        (tool,) = [span for span in spans if span.name == "tools/call contit_ask"]
        upstream = [span for span in spans if span.parent_span_id == tool.span_id]
        names = {span.name for span in upstream}
        assert {"POST /ai-assistant/thread", "GET /ai-assistant/thread/{threadId}/response"} < names
        ids = attributes(tool)["contit.thread_id"], attributes(tool)["contit.run_id"]
        assert {attributes(span)["contit.thread_id"] for span in upstream} == {ids[0]}
        assert {attributes(span).get("contit.run_id", ids[1]) for span in upstream} == {ids[1]}
        if source == "meta":  # the SDK's span is then a child of the message's; the span of the request links to it
            assert tool.parent_span_id.hex() == PARENT
            linked = [(link.trace_id, link.span_id) for span in self.spans for link in span.links]
            assert (tool.trace_id, tool.span_id) in linked
        else:
            (post,) = [span for span in spans if span.name == "POST /mcp"]
            assert tool.parent_span_id == post.span_id
            assert post.parent_span_id.hex() == (PARENT if source == "headers" else "")


def attributes(span: Span) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


@asynccontextmanager
async def collecting(*, hangs: bool = False) -> AsyncIterator[tuple[Collector, dict[str, str]]]:
    """Yield a collector of traces, and the environment of a server that exports to it."""
    collector = Collector(hangs)
    async with on_port(Starlette(routes=[Route("/v1/traces", collector.take, methods=["POST"])])) as url:
        yield collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}


async def ask_from(server: Served, era: str, source: str, trace_id: str) -> dict[str, Any]:
    """Ask with a trace in the headers, in `_meta`, or nowhere."""
    parent = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    arguments = {"prompt": f"{QUESTION} {trace_id}"}
    request = request_of(era, "contit_ask", arguments, meta=parent if source == "meta" else {})
    async with caller(**(parent if source == "headers" else {})) as http:
        return result_in(await http.post(server.url, **request))


@pytest.mark.parametrize("export", [True, False])
async def test_one_trace_id_joins_the_lines_the_metrics_and_the_spans_of_an_ask(export: bool) -> None:
    """The id is the caller's where it sends one. It is there without an export of traces too."""
    async with collecting() as (collector, otel), deployment(None, **DEBUG, **(otel if export else {})) as (server, _):
        asked: list[tuple[str, str]] = []
        for number, (era, source) in enumerate(product(ERAS, SOURCES), start=1):
            given = f"{number:032x}"
            await ask_from(server, era, source, given)
            request = (await server.logged("http.request", number))[-1]
            call, started = (server.named(name)[-1] for name in ("call.finished", "run.started"))
            assert call["trace_id"] == started["trace_id"] == request["trace_id"]
            assert len(call["trace_id"]) == 32
            assert call["statuses"] == f"200:{call['requests']}"
            assert (call["trace_id"] == given) == (source != "nowhere")
            asked.append((source, call["trace_id"]))
        async with caller(Accept="application/openmetrics-text") as http:
            assert asked[-1][1] in (await http.get(server.metrics_url)).text
            for probe in ("healthz", "readyz"):
                assert (await http.get(f"{server.base}/{probe}")).status_code == 200
        assert (await server.end())[0] == 0
        assert bool(server.named("tracing.exporting")) == export
        assert {line["level"] for line in server.lines} == {"info", "debug"}
    for source, trace_id in asked * export:
        collector.check_tree(source, trace_id)
    assert bool(collector.spans) == export
    names = " ".join(span.name for span in collector.spans)
    assert not any(path in names for path in ("healthz", "readyz", "/metrics"))


async def test_nothing_of_an_ask_s_content_reaches_logs_metrics_or_spans(tmp_path: Path) -> None:
    """A marker is in the prompt, the answer, the credential, query strings and headers. Calls fail too, at DEBUG."""
    scripted = tmp_path / "answers.json"
    scripted.write_text(json.dumps([{"pattern": MARKER, "answer": f"It is {MARKER}."}]), encoding="utf-8")
    options = SandboxOptions(run_seconds=0.2, api_keys=frozenset({f"key-{MARKER}"}), answers=scripted)
    answers = []
    async with collecting() as (collector, otel):
        environment = {"CONTIT_API_KEY": f"key-{MARKER}", **DEBUG, **otel}
        async with deployment(options, **environment) as (server, sandbox):
            url = f"{server.url}?x={MARKER}"
            agent = {"X-Other": MARKER, "Authorization": f"Bearer {MARKER}", "Cookie": MARKER, "Tracestate": "a=b"}
            async with caller(**agent) as http:
                for era, kind in product(ERAS, (None, "500", "malformed", "drop-after", "failed")):
                    if kind:
                        sandbox.add_fault(Fault(kind, on="start"))
                    arguments = {"prompt": f"How many articles mention {MARKER} {kind} {era}?"}
                    answers.append(result_in(await http.post(url, **request_of(era, "contit_ask", arguments))))
                for era in ERAS:
                    ids = {"thread_id": MARKER, "run_id": 5, MARKER: MARKER}
                    await http.post(url, **request_of(era, "contit_status", ids))
                    await http.post(url, **message_of(era, "no/such", {MARKER: MARKER}))
                await http.post(url, content=f'{{"{MARKER}": ', headers={"Content-Type": "application/json"})
                await http.get(f"{server.base}/{MARKER}?{MARKER}")
                await http.request(MARKER.upper().replace("-", ""), url)
                metrics = (await http.get(f"{server.metrics_url}?{MARKER}")).text
            assert (await server.end())[0] == 0
    assert any(MARKER in str(answer) for answer in answers)
    assert {answer["isError"] for answer in answers} == {True, False}
    assert MARKER not in server.stderr
    assert MARKER not in metrics
    assert {"POST /ai-assistant/thread", "POST /mcp", "GET other"} < {span.name for span in collector.spans}
    leaks = [span.name for span in collector.spans if MARKER.encode() in span.SerializeToString()]
    assert leaks == []


async def test_a_collector_that_hangs_delays_neither_asks_nor_the_exit() -> None:
    async with (
        collecting(hangs=True) as (_, otel),
        deployment(SandboxOptions(run_seconds=60), **otel) as (server, sandbox),
        caller() as http,
        anyio.create_task_group() as tasks,
    ):

        async def end() -> None:
            await runs(sandbox, 1)
            code, seconds = await server.end()
            assert (code, seconds < 5) == (0, True)

        tasks.start_soon(end)
        result = result_in(await http.post(server.url, **request_of("modern", "contit_ask", {"prompt": QUESTION})))
    assert result["structuredContent"]["status"] == "in_progress"


async def test_an_endpoint_for_traces_without_the_extra_is_logged_once_and_costs_nothing() -> None:
    """The line says what to install."""
    command, endpoint = [sys.executable, "-c", WITHOUT_SDK], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    async with deployment(None, command=command, **endpoint) as (server, _):
        answer = await ask_from(server, "modern", "headers", TRACE)
        assert (await server.end())[0] == 0
    assert answer["structuredContent"]["status"] == "completed"
    (line,) = server.named("tracing.not_installed")
    assert line["hint"] == "To export traces, in the clone: pip install '.[otel]'"
    assert server.named("call.finished")[0]["trace_id"] == TRACE
