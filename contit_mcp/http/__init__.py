"""MCP over HTTP. A request goes through app.py, guard.py and auth.py, and then to `server`; serve.py listens."""
