"""Tests of the client of Contit."""
