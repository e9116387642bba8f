"""Tests of the MCP server in memory."""
