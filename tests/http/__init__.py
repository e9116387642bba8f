"""The HTTP server: who may call, and what is refused."""
