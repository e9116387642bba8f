"""Contit's AI assistant as an MCP server: ask about your content from any MCP host."""

__version__ = "0.1.0"
