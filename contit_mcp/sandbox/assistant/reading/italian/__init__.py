"""Italian, as far as questions about a workspace need it; every pattern is written without accents."""
