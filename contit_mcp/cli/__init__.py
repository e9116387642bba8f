"""The command line. Each file has a command, or a few that belong together; main.py lists them all."""
