"""Who asks, and which ids they see: owners, sealed ids, and the assistant for one owner.

Ids are sealed with deterministic authenticated encryption (AES-SIV, RFC 5297): the same id always gives the same
handle, so that a model can compare handles, and replicas share nothing but the key. The kind of the id and a digest of
its owner are sealed with it, so a handle of another owner, or a thread's in place of a run's, does not open. They are
inside, and not only authenticated, so that an operator who has the key can open the handle that a caller reports.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contit_mcp.assistant.reports import RunReport
from contit_mcp.assistant.service import Assistant
from contit_mcp.errors import RunError, RunNotFoundError

SHORTEST_KEY = 32
"""Characters of a seal key: 128 bits even where it is written in hexadecimal digits."""

TASK_SECONDS = 86_400.0
"""How long a task id is valid: as long as a run is remembered."""

_PREFIX = "h1_"
_LONGEST_HANDLE = 3_000
"""Characters: two ids of 256 characters, each of four bytes, and a time."""

_LONGEST_NAME = 80
_TITLE_WORDS, _TITLE_CHARACTERS = 10, 80
_SEPARATOR = "\n"  # no id of Contit contains it
_DIGEST_BYTES = 12

Kind = Literal["thread", "run", "task"]
_KINDS: tuple[Kind, ...] = ("thread", "run", "task")

_Id = TypeVar("_Id", str, str | None)


def owner_of_credential(identity: str, base_url: str, *, key: bytes) -> str:
    """Return the owner for the holder of a Contit credential at an address; it does not reveal the credential.

    The key is the last seal key where one is configured, so that fingerprints cannot be tried out elsewhere.
    """
    return _digest(key, "credential", base_url, identity)[:24]


def owner_of_name(mode: str, issuer: str, name: str, base_url: str, *, key: bytes) -> str:
    """Return the owner for a caller that this server authenticates: its name, and a digest of all that tells it apart.

    The key is the last seal key: two deployments that share a store but no key share no owner.
    """
    plain = len(name) <= _LONGEST_NAME and all(c.isascii() and c.isprintable() and c not in "~ " for c in name)
    return f"{name if plain else ''}~{_digest(key, mode, issuer, name, base_url)[:32]}"


def _digest(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\0".join(f"{len(part)}:{part}" for part in parts).encode(), hashlib.sha256).hexdigest()


class Sealer:
    """Seals and opens handles. The first key seals, all open: a new key is put first, the old one removed a day later.

    Raises:
        ValueError: A key is shorter than `SHORTEST_KEY`, or there is no key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"a seal key has at least {SHORTEST_KEY} characters")
        self._ciphers = [AESSIV(_derived(key)) for key in keys]

    def seal(self, kind: Kind, owner: str, text: str) -> str:
        """Return the handle of an id for its owner."""
        plain = bytes([_KINDS.index(kind)]) + _owner_digest(owner) + _packed(text)
        return _PREFIX + _to_text(self._ciphers[0].encrypt(plain, _BOUND_TO))

    def open(self, kind: Kind, owner: str, handle: str) -> str | None:
        """Return the id in a handle; None if it is forged, cut, of another kind, or another owner's."""
        opened = self._opened(handle)
        if opened is None or opened[0] != kind or not hmac.compare_digest(opened[1], _owner_digest(owner)):
            return None
        return opened[2]

    def reveal(self, handle: str) -> tuple[Kind, str] | None:
        """Return the kind and the id of anyone's handle, for an operator; None if no key opens it."""
        opened = self._opened(handle)
        return None if opened is None else (opened[0], opened[2])

    def _opened(self, handle: str) -> tuple[Kind, bytes, str] | None:
        if not handle.startswith(_PREFIX) or len(handle) > _LONGEST_HANDLE:
            return None
        text = handle.removeprefix(_PREFIX)
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if _to_text(sealed) != text:
            return None  # a handle has one spelling; base64 has several of the same bytes, some with foreign characters
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(sealed, _BOUND_TO)
            except (InvalidTag, ValueError):
                continue
            return _KINDS[plain[0]], plain[1 : 1 + _DIGEST_BYTES], _unpacked(plain[1 + _DIGEST_BYTES :])
        return None


def _packed(text: str) -> bytes:
    """Return an id as bytes. A GUID takes 17 of them instead of 36: a handle costs a model half the tokens."""
    try:
        guid = uuid.UUID(text)
    except ValueError:
        guid = None
    return b"g" + guid.bytes if guid is not None and str(guid) == text else b"t" + text.encode()


def _unpacked(data: bytes) -> str:
    return str(uuid.UUID(bytes=data[1:])) if data[:1] == b"g" else data[1:].decode()


def sealer_of_credential(identity: str) -> Sealer:
    """Return the sealer of task ids where no seal key is configured: its key is derived from the credential.

    Every process with the same settings understands the ids then. Raw ids are accepted there anyway.
    """
    return Sealer([hmac.new(b"contit-mcp task ids v1", identity.encode(), hashlib.sha256).hexdigest()])


def _to_text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


_BOUND_TO: list[bytes | bytearray | memoryview] = [b"contit-mcp handles v2"]


def _owner_digest(owner: str) -> bytes:
    return hashlib.sha256(owner.encode()).digest()[:_DIGEST_BYTES]


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), length=64, salt=None, info=b"contit-mcp handles v1").derive(key.encode())


@dataclass(frozen=True, slots=True)
class TaskId:
    """The content of a task's id: Contit's own ids, and when it was asked, by which tasks of the same run differ."""

    thread_id: str
    run_id: str
    asked_at_ms: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the content that `text` writes down."""
        asked_at_ms, thread_id, run_id = text.split(_SEPARATOR)
        return cls(thread_id, run_id, int(asked_at_ms))

    @property
    def text(self) -> str:
        """The content as one text, to be sealed."""
        return _SEPARATOR.join((str(self.asked_at_ms), self.thread_id, self.run_id))

    @property
    def created_at(self) -> float:
        """When it was asked, in seconds since the epoch."""
        return self.asked_at_ms / 1000


@dataclass(frozen=True, slots=True)
class Tenant:
    """The assistant for one owner: it asks in that owner's name and shows ids as the owner may see them."""

    assistant: Assistant
    owner: str
    holder: str
    """Who may use the handles. It does not depend on a seal key: a handle outlives the removal of an old key."""
    task_sealer: Callable[[], Sealer]
    sealer: Sealer | None = None
    """Seals thread and run ids; None where the owner sees Contit's own."""
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
        thread, run = self._opened("thread", thread_id), self._opened("run", run_id)
        return await self._shown(self.assistant.status(self.owner, thread, run, **how))

    async def response(self, thread_id: str, run_id: str | None, **how: Any) -> RunReport:
        """See `Assistant.response`."""
        thread, run = self._opened("thread", thread_id), self._opened("run", run_id)
        return await self._shown(self.assistant.response(self.owner, thread, run, **how))

    async def runs(self, limit: int) -> list[RunReport]:
        """See `Assistant.runs`."""
        return [self._shown_report(report) for report in await self.assistant.runs(self.owner, limit)]

    async def snapshot(self, task: TaskId) -> RunReport:
        """See `Assistant.snapshot`."""
        found = await self.assistant.snapshot(self.owner, task.thread_id, task.run_id, asked_at_ms=task.asked_at_ms)
        if found.error is not None:
            found.error.thread_id, found.error.run_id = self.shown(task.thread_id, task.run_id)
        return self._shown_report(found)

    async def cancel(self, task: TaskId) -> None:
        """See `Assistant.cancel`."""
        await self.assistant.cancel(self.owner, task.thread_id, task.run_id, asked_at_ms=task.asked_at_ms)

    def task_handle(self, task: TaskId) -> str:
        """Return a task's id as the owner gets it."""
        return self.task_sealer().seal("task", self.holder, task.text)

    def open_task(self, handle: str, *, now: float) -> TaskId | None:
        """Return the content of a task's id; None if it is forged, another owner's, or older than `TASK_SECONDS`."""
        opened = self.task_sealer().open("task", self.holder, handle)
        task = None if opened is None else TaskId.read(opened)
        return task if task is not None and now - task.created_at < TASK_SECONDS else None

    def shown(self, thread_id: _Id, run_id: str | None) -> tuple[_Id, str | None]:
        """Return Contit's ids as the owner sees them."""
        return self._sealed("thread", thread_id), self._sealed("run", run_id)

    def _sealed(self, kind: Kind, contits_id: _Id) -> _Id:
        return (
            contits_id if contits_id is None or self.sealer is None else self.sealer.seal(kind, self.holder, contits_id)
        )

    def _opened(self, kind: Kind, handle: _Id) -> _Id:
        """Return Contit's id for what the owner sent.

        Raises:
            RunNotFoundError: The handle does not open for this owner.
        """
        if handle is None or self.sealer is None:
            return handle
        opened = self.sealer.open(kind, self.holder, handle)
        if opened is None:
            raise RunNotFoundError(None, None)
        return opened

    def _title(self, prompt: str) -> str | None:
        """Return the first words of a prompt, on one line, where titles may be stored."""
        if not self.keeps_titles:
            return None
        words = "".join(character if character.isprintable() else " " for character in prompt[:400]).split()
        return " ".join(words[:_TITLE_WORDS])[:_TITLE_CHARACTERS]

    async def _shown(self, call: Awaitable[RunReport]) -> RunReport:
        try:
            return self._shown_report(await call)
        except RunError as error:
            error.thread_id, error.run_id = self.shown(error.thread_id, error.run_id)
            raise

    def _shown_report(self, report: RunReport) -> RunReport:
        thread_id, run_id = self.shown(report.thread_id, report.run_id)
        return replace(report, thread_id=thread_id, run_id=run_id)
