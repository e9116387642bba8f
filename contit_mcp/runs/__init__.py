"""The record of a run, the rule that decides a claim, and the stores."""
