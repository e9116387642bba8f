"""The Tasks extension by itself, and a client that understands it."""
