"""`python -m contit_mcp` is the command `contit-mcp`."""

import sys

if not sys.flags.safe_path and sys.path and sys.path[0] != __file__.removesuffix("contit_mcp/__main__.py").rstrip("/"):
    del sys.path[0]  # the current folder, from which nothing is to be imported: it may be anybody's

from contit_mcp.cli.main import main

if __name__ == "__main__":
    main()
