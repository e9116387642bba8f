"""Puts answers into words, in Markdown, in English or Italian."""
