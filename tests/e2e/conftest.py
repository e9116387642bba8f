"""End-to-end tests run in real time."""

from tests.children import anyio_backend

__all__ = ["anyio_backend"]
