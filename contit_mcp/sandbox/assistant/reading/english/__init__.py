"""English, as far as questions about a workspace need it."""
