"""Answers questions about the sample workspace by looking things up; no language model."""
