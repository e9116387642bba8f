"""The tests of contit_mcp; they mirror its folders."""
