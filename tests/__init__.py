"""The tests of contit_mcp. A folder named like one of the package's has its tests; the others name their topic."""
