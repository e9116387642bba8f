"""Speaks HTTP to Contit; knows nothing of MCP."""
