"""The conversation that was asked last from this user's terminal, so that `ask --last` goes on with it."""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from contit_mcp.config.state_folder import state_folder, usable_state_folder
from contit_mcp.contit.wire import id_problem
from contit_mcp.errors import ConfigurationError, ContitError

FILE_NAME = "last-conversation.json"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation and its latest run. Ids and an address, nothing that was asked or answered."""

    base_url: str
    thread_id: str
    run_id: str


class NoConversationError(ContitError):
    """There is no last conversation to go on with."""


class LastConversation:
    """One small file in the state folder, readable by its user alone.

    Args:
        state_dir: The state folder, where one is configured.
    """

    def __init__(self, state_dir: Path | None) -> None:
        self._state_dir = state_dir

    def read(self, base_url: str) -> Conversation:
        """The last conversation with the Contit at this address.

        Raises:
            NoConversationError: There is none, or it was with another Contit.
        """
        file = state_folder(self._state_dir) / FILE_NAME
        try:
            conversation = _conversation(file.read_bytes())
        except FileNotFoundError:
            conversation = None
        except OSError as exc:
            raise NoConversationError(
                f"The last conversation cannot be read: {exc.strerror or 'unknown reason'}.",
                hint=f"Check that this user may read {file}, or name the conversation with --thread.",
            ) from exc
        if conversation is None:
            raise NoConversationError(
                "There is no last conversation to go on with.",
                hint="Ask a question without --last first, or name the conversation with --thread.",
            )
        if conversation.base_url != base_url:
            raise NoConversationError(
                f"The last conversation was with {conversation.base_url}, not with {base_url}.",
                hint=f"Give --base-url {conversation.base_url}, or ask without --last to begin a new one.",
            )
        return conversation

    def write(self, conversation: Conversation) -> None:
        """Put it in the place of the one before, at once or not at all.

        Raises:
            ConfigurationError: The state folder cannot be written.
        """
        folder = usable_state_folder(self._state_dir)
        temporary = None
        try:
            # Made with mode 0600, and in the same folder, so that it can take the other's place in one step.
            descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=FILE_NAME)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(asdict(conversation), stream)
            os.replace(temporary, folder / FILE_NAME)  # noqa: PTH105 - one step on every system
        except OSError as exc:
            if temporary is not None:
                with suppress(OSError):
                    Path(temporary).unlink()
            raise ConfigurationError(
                f"The state folder {folder} cannot be written: {exc.strerror or 'unknown reason'}.",
                hint="Set CONTIT_MCP_STATE_DIR to a folder of this user's.",
            ) from exc


def _conversation(content: bytes) -> Conversation | None:
    """What the file holds; None for anything that we have not written."""
    try:
        held = json.loads(content)
        conversation = Conversation(**held)
    except (ValueError, TypeError, RecursionError):
        return None
    words = (conversation.base_url, conversation.thread_id, conversation.run_id)
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        return None
    return None if id_problem(conversation.thread_id) or id_problem(conversation.run_id) else conversation
