"""What a program is given, and the results of the SDK 2.x and of FastMCP as the tests read them."""

import json
import sys
from typing import Any

GIVEN = json.loads(sys.argv[1])
CHILD = {name: GIVEN[name] for name in ("command", "args", "env")}
PLACE = {name: GIVEN[name] for name in ("url", "headers")}
MODEL = {"base_url": f"{GIVEN['model_url']}/v1", "api_key": "made-up"}


def readable(*results: Any) -> list[dict[str, Any]]:
    """The parts of each result."""
    return [
        {"content": [it.text for it in one.content], "structured": one.structured_content, "isError": one.is_error}
        for one in results
    ]
