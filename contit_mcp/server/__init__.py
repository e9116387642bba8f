"""The MCP server: tools, results, progress."""
