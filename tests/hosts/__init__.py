"""Real hosts and clients, each in the version that is pinned here, against the real `contit-mcp`."""
