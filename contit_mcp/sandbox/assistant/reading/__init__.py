"""Reads a question in English or Italian into a query; what it cannot account for, it reports."""
