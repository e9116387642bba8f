"""Tests of the run stores."""
