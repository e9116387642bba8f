"""`python -m contit_mcp` is the command `contit-mcp`."""

import sys

# `python -m` puts the current folder first. It may be anyone's, so it is removed, unless this package is in it.
if not sys.flags.safe_path and sys.path and sys.path[0] != __file__.removesuffix("contit_mcp/__main__.py").rstrip("/"):
    del sys.path[0]

from contit_mcp.cli.main import main

if __name__ == "__main__":
    main()
