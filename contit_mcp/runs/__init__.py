"""What is remembered of a run, behind one protocol."""
