"""Start `contit-mcp stdio` from the bundle; with the sandbox if its user has switched that on."""

import sys

from contit_mcp.cli.main import main

if __name__ == "__main__":
    sys.argv[1:] = ["stdio", *(["--sandbox"] if "--sandbox=true" in (word.lower() for word in sys.argv[1:]) else [])]
    main()
