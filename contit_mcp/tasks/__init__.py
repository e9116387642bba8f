"""The official extension io.modelcontextprotocol/tasks (SEP-2663, protocol 2026-07-28) for the MCP Python SDK.

It knows the protocol and nothing of this product; a `TaskSource` does the work behind the tasks. docs/tasks.md
says how another server uses it.
"""
