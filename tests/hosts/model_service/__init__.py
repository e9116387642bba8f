"""A stand-in for a model, in the four dialects that hosts speak to theirs: the one thing here that is not real."""
