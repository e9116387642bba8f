"""Tests of what is made for a release."""
