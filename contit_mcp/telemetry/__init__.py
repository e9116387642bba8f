"""Logs, metrics, traces, the statistics of a call, and whether Contit can be reached."""
