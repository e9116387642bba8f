"""Tests of the local Contit."""
