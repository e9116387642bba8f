"""Tests of real processes on real ports."""
