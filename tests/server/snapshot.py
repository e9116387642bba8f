"""Writes tools.snapshot.json: `python -m tests.server.snapshot` (make snapshot)."""

import json

from contit_mcp.server.tools import create_tools
from tests.server.test_tools import SNAPSHOT

if __name__ == "__main__":
    tools = [t.listed.model_dump(mode="json", by_alias=True, exclude_none=True) for t in create_tools().values()]
    SNAPSHOT.write_text(json.dumps(tools, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
