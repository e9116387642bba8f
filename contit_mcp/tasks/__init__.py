"""The Tasks extension (SEP-2663) for the MCP Python SDK. It knows nothing of this product; docs/tasks.md says more."""
