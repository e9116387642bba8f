"""Tests of the log, the metrics and the traces."""
