"""The official conformance suite, against `contit-mcp http`, and against our HTTP stack with the suite's fixtures."""
