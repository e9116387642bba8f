"""Tests of the log; tests/http/test_observability.py has those of the metrics and traces."""
