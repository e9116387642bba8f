"""Our entry in the files of hosts."""
