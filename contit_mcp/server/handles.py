"""Sealed ids, for callers that share one Contit credential: a handle opens for the owner it was made for alone.

Deterministic authenticated encryption (AES-SIV, RFC 5297): the same id is always the same handle, so that a model
can compare them, and nothing but the key must be shared by replicas. The owner and the kind of id are
authenticated with it, so a handle of another owner, or a thread's in place of a run's, is no handle at all.
"""

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST_KEY = 32
"""Characters of a seal key: 128 bits even where it is written in hexadecimal digits."""

_PREFIX = "h1_"
_LONGEST = 3_000
"""Characters: two ids of 256 characters, each of four bytes, and a time."""


class Sealer:
    """Makes and opens handles.

    Args:
        keys: The first seals, all open; so a new key is put first, and the old one taken out a day later.

    Raises:
        ValueError: A key is shorter than `SHORTEST_KEY`, or there is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"a seal key has at least {SHORTEST_KEY} characters")
        self._ciphers = [AESSIV(_derived(key)) for key in keys]

    def seal(self, kind: str, owner: str, text: str) -> str:
        """The handle of an id.

        Args:
            kind: What it is the id of, as "thread".
            owner: Who may use it.
            text: The id.
        """
        sealed = self._ciphers[0].encrypt(text.encode(), _bound_to(kind, owner))
        return _PREFIX + _text_of(sealed)

    def open(self, kind: str, owner: str, handle: str) -> str | None:
        """The id in a handle; None when it is forged, cut, of another kind, or somebody else's."""
        if not handle.startswith(_PREFIX) or len(handle) > _LONGEST:
            return None
        text = handle.removeprefix(_PREFIX)
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if _text_of(sealed) != text:
            return None  # base64 has several spellings of the same bytes; a handle has one
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, _bound_to(kind, owner)).decode()
            except (InvalidTag, ValueError):
                continue
        return None


def _text_of(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _bound_to(kind: str, owner: str) -> list[bytes]:
    return [b"contit-mcp", kind.encode(), owner.encode()]


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), length=64, salt=None, info=b"contit-mcp handles v1").derive(key.encode())
