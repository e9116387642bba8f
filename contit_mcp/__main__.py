"""`python -m contit_mcp` is the command `contit-mcp`."""

from contit_mcp.cli.main import main

if __name__ == "__main__":
    main()
