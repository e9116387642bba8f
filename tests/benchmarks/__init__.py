"""The benchmarks run, and their report is right."""
