"""The HTTP client for Contit; it knows nothing of MCP."""
