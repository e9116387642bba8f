"""What contit-mcp does, in the order in which a newcomer asks: one concept a test, no edge cases. Read it in order."""
