"""The Python API, as a program uses it: no environment, no logging, no stdout of ours."""
