"""How soon /healthz answers while another request, the most expensive of its kind, is being served."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.children import OURS, environment, local_contit, over_http
from benchmarks.report import Row

LARGEST = 262_144
"""Bytes, as large as a body may be; the last request is four times that."""

_PAUSE = 0.02


def _call(arguments: str) -> bytes:
    head = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "contit_ask", "arguments": '
    return f"{head}{arguments}}}}}".encode()


REQUESTS: dict[str, Callable[[], bytes]] = {
    "nested lists": lambda: b"[" * LARGEST,
    "many objects": lambda: _call('{"prompt": [' + "{}," * (LARGEST // 4) + "{}]}"),
    "many names": lambda: _call(json.dumps({f"prompt_{number}": "a" for number in range(LARGEST // 20)})),
    "one name": lambda: _call(json.dumps({"thread_id" * (LARGEST // 10): "a"})),
    "ids": lambda: _call(json.dumps({"prompt": "a", "thread_id": "thread_id=" * (LARGEST // 11)})),
    "tokens": lambda: _call(json.dumps({"prompt": "eyJ-a://" * (LARGEST // 9)})),
    "escapes": lambda: _call('{"prompt": "' + "\\u202e" * (LARGEST // 7) + '"}'),
    "numbers": lambda: _call('{"prompt": ' + "9" * (LARGEST - 200) + "}"),
    "beyond the limit": lambda: _call(json.dumps({"prompt": "a" * (4 * LARGEST)})),
}


async def hostile_requests(folder: Path, *, seconds: float) -> list[Row]:
    """Return the median and the worst time until /healthz answered. Their goals are in seconds."""
    took: list[float] = []
    async with local_contit(0.0) as contit, over_http(OURS, environment(contit, folder)) as (_, port):
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, timeout=30.0, trust_env=False) as http:
            until = time.monotonic() + seconds
            sending = asyncio.create_task(_send(http, until))
            while not sending.done():
                began = time.perf_counter()
                (await http.get("/healthz")).raise_for_status()
                took.append(time.perf_counter() - began)
                await asyncio.sleep(_PAUSE)
            await sending
    return [
        Row("healthz beside hostile requests, median", "s", {OURS: took}, [statistics.median(took)], "seconds"),
        Row("healthz beside hostile requests, worst", "s", {OURS: [max(took)]}, [max(took)], "seconds"),
    ]


async def _send(http: httpx.AsyncClient, until: float) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    while True:
        for body in REQUESTS.values():
            await http.post("/mcp", content=body(), headers=headers)
        if time.monotonic() > until:
            return
