"""The command line, a file has a command, or a few that belong together."""
