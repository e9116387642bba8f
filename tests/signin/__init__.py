"""Sign-in end to end: a real identity provider, clients that others wrote, and tokens of every kind."""
