"""The MCP server. A call goes through server.py, call.py, tools.py, services.py and tenancy.py to the assistant."""
