"""The speed of contit-mcp, as ratios to the same work done by others in one run: `make bench`, docs/performance.md."""
