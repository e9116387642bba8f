"""What a program is given: how to reach the server, and the model."""

import json
import sys

GIVEN = json.loads(sys.argv[1])
CHILD = {name: GIVEN[name] for name in ("command", "args", "env")}
PLACE = {name: GIVEN[name] for name in ("url", "headers")}
MODEL = {"base_url": f"{GIVEN['model_url']}/v1", "api_key": "made-up"}
