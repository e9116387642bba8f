"""Owners of runs, handles (ids that are sealed for one owner), and the assistant for one owner.

Ids are sealed with deterministic authenticated encryption (AES-SIV, RFC 5297): the same id always gives the same
handle, so that a model can compare handles, and replicas share nothing but the key. A handle holds the kind of the id
and a digest of its owner, so that it opens for this owner alone, and for the operator who has the key.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contit_mcp.assistant.reports import RunReport
from contit_mcp.assistant.service import Assistant
from contit_mcp.errors import ConfigurationError, RunError, RunNotFoundError

SHORTEST_KEY = 32  # characters: 128 bits even where the key is written in hexadecimal digits

_PREFIX = "h1_"
_LONGEST_HANDLE = 3_000  # characters: two ids of 256 characters, each of four bytes, and a time
_DIGEST_BYTES = 12

Kind = Literal["thread", "run", "task"]
_KINDS: tuple[Kind, ...] = ("thread", "run", "task")  # a handle holds the index of its kind

_Id = TypeVar("_Id", str, str | None)
_ASSOCIATED_DATA: list[bytes | bytearray | memoryview] = [b"contit-mcp handles v2"]  # other forms do not open


def owner_of_credential(identity: str, base_url: str, *, key: bytes) -> str:
    """Return the owner for a Contit credential at an address. A secret `key` keeps others from guessing it."""
    return _digest(key, "credential", base_url, identity)[:24]


def owner_of_name(mode: str, issuer: str, name: str, base_url: str, *, key: bytes) -> str:
    """Return the owner for a caller of this server: its name, and a digest of all that tells it apart."""
    plain = len(name) <= 80 and all(c.isascii() and c.isprintable() and c not in "~ " for c in name)
    return f"{name if plain else ''}~{_digest(key, mode, issuer, name, base_url)[:32]}"


def _digest(key: bytes, *parts: str) -> str:
    return hmac.digest(key, "\0".join(f"{len(part)}:{part}" for part in parts).encode(), "sha256").hex()


class Sealer:
    """Seals and opens handles. The first key seals, all open (docs/deployment.md says how to change keys)."""

    def __init__(self, keys: Sequence[str]) -> None:
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ConfigurationError(
                f"CONTIT_MCP_SEAL_KEY cannot be used: a seal key has at least {SHORTEST_KEY} characters.",
                hint="Make one with: openssl rand -hex 32",
            )
        self._ciphers = [
            AESSIV(HKDF(SHA256(), length=64, salt=None, info=b"contit-mcp handles v1").derive(key.encode()))
            for key in keys
        ]

    def seal(self, kind: Kind, owner: str, text: str) -> str:
        """Return the handle of an id for its owner."""
        plain = bytes([_KINDS.index(kind)]) + _owner_digest(owner) + _packed(text)
        return _PREFIX + _to_text(self._ciphers[0].encrypt(plain, _ASSOCIATED_DATA))

    def open(self, kind: Kind, owner: str, handle: str) -> str | None:
        """Return the id in a handle; None if it is forged, cut, of another kind, or another owner's."""
        opened = self.reveal(handle)
        if opened is None or opened[0] != kind or not hmac.compare_digest(opened[1], _owner_digest(owner)):
            return None
        return opened[2]

    def reveal(self, handle: str) -> tuple[Kind, bytes, str] | None:
        """Return the kind, a digest of the owner, and the id in anyone's handle; None if no key opens it."""
        text = handle.removeprefix(_PREFIX)
        if text == handle or len(handle) > _LONGEST_HANDLE:
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if _to_text(sealed) != text:
            return None  # a handle has one spelling; base64 has several of the same bytes, some with foreign characters
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                plain = cipher.decrypt(sealed, _ASSOCIATED_DATA)
                kind, owner, packed = plain[0], plain[1 : 1 + _DIGEST_BYTES], plain[1 + _DIGEST_BYTES :]
                text = str(uuid.UUID(bytes=packed[1:])) if packed[:1] == b"g" else packed[1:].decode()
                return _KINDS[kind], owner, text
        return None


def _packed(text: str) -> bytes:
    """Return an id as bytes. A GUID takes 17 bytes instead of 36, which halves the tokens of a handle."""
    with suppress(ValueError):
        guid = uuid.UUID(text)
        if str(guid) == text:
            return b"g" + guid.bytes
    return b"t" + text.encode()


def sealer_of_credential(identity: str) -> Sealer:
    """Return the sealer of task ids where no seal key is set. Every process with the credential opens the ids."""
    return Sealer([hmac.new(b"contit-mcp task ids v1", identity.encode(), hashlib.sha256).hexdigest()])


def _to_text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _owner_digest(owner: str) -> bytes:
    return hashlib.sha256(owner.encode()).digest()[:_DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class Tenant:
    """The assistant for one owner: it asks in that owner's name and shows ids as the owner may see them."""

    assistant: Assistant
    owner: str
    handle_owner: str  # the owner in handles; no seal key is part of it, so that handles outlive the removal of a key
    task_sealer: Callable[[], Sealer]
    sealer: Sealer | None = None  # of thread and run ids; None where the owner sees Contit's own
    keeps_titles: bool = False

    async def ask(self, prompt: str, thread_id: str | None, **how: Any) -> RunReport:
        """See `Assistant.ask`."""
        thread = self._opened("thread", thread_id)
        return await self._shown(self.assistant.ask(self.owner, prompt, thread, title=self._title(prompt), **how))

    async def start(self, prompt: str, thread_id: str | None, **how: Any) -> RunReport:
        """See `Assistant.start`."""
        thread = self._opened("thread", thread_id)
        return await self._shown(self.assistant.start(self.owner, prompt, thread, title=self._title(prompt), **how))

    async def status(self, thread_id: str, run_id: str, **how: Any) -> RunReport:
        """See `Assistant.status`."""
        ids = self._opened("thread", thread_id), self._opened("run", run_id)
        return await self._shown(self.assistant.status(self.owner, *ids, **how))

    async def response(self, thread_id: str, run_id: str | None, **how: Any) -> RunReport:
        """See `Assistant.response`."""
        ids = self._opened("thread", thread_id), self._opened("run", run_id)
        return await self._shown(self.assistant.response(self.owner, *ids, **how))

    async def runs(self, limit: int) -> list[RunReport]:
        """See `Assistant.runs`."""
        return [self._shown_report(report) for report in await self.assistant.runs(self.owner, limit)]

    async def snapshot(self, thread_id: str, run_id: str, asked_at_ms: int) -> RunReport:
        """See `Assistant.snapshot`. The ids are Contit's own."""
        found = await self.assistant.snapshot(self.owner, thread_id, run_id, asked_at_ms=asked_at_ms)
        if found.error is not None:
            found.error.thread_id, found.error.run_id = self.shown(thread_id, run_id)
        return self._shown_report(found)

    def shown(self, thread_id: _Id, run_id: str | None) -> tuple[_Id, str | None]:
        """Return Contit's ids as the owner sees them."""
        return self._sealed("thread", thread_id), self._sealed("run", run_id)

    def _sealed(self, kind: Kind, contits_id: _Id) -> _Id:
        if contits_id is None or self.sealer is None:
            return contits_id
        return self.sealer.seal(kind, self.handle_owner, contits_id)

    def _opened(self, kind: Kind, handle: _Id) -> _Id:
        if handle is None or self.sealer is None:
            return handle
        opened = self.sealer.open(kind, self.handle_owner, handle)
        if opened is None:
            raise RunNotFoundError(None, None)
        return opened

    def _title(self, prompt: str) -> str | None:
        if not self.keeps_titles:
            return None
        words = "".join(character if character.isprintable() else " " for character in prompt[:400]).split()
        return " ".join(words[:10])[:80]

    async def _shown(self, call: Awaitable[RunReport]) -> RunReport:
        try:
            return self._shown_report(await call)
        except RunError as error:
            error.thread_id, error.run_id = self.shown(error.thread_id, error.run_id)
            raise

    def _shown_report(self, report: RunReport) -> RunReport:
        thread_id, run_id = self.shown(report.thread_id, report.run_id)
        return replace(report, thread_id=thread_id, run_id=run_id)
