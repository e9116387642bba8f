"""The Python API as a program uses it, which owns the environment, the logging and stdout."""
