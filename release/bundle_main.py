"""What a host of the bundle starts: contit-mcp stdio, before the sandbox where its user has switched that on.

In the bundle it is main.py, beside the package. A host passes the arguments of the manifest; without arguments the
server is the same.
"""

import sys

from contit_mcp.cli.main import main

SANDBOX = "--sandbox="

if __name__ == "__main__":
    wanted = [word.removeprefix(SANDBOX).lower() == "true" for word in sys.argv[1:] if word.startswith(SANDBOX)]
    sys.argv[1:] = ["stdio", *(["--sandbox"] if any(wanted) else [])]
    main()
