"""Sign-in end to end: a real identity provider, and clients that others wrote."""
