"""Logs, metrics, traces, and the statistics of a call."""
