"""Tests of the server over HTTP, most of them of real processes on real ports."""
