"""The file behind `ask --last`."""

from pathlib import Path

import pytest

from contit_mcp.cli.ask import Conversation, LastConversation, NoConversationError
from contit_mcp.errors import ConfigurationError

FILE_NAME = "last-conversation.json"
URL = "https://api.contit.cloud"
ASKED = Conversation(URL, "thread_1", "run_1")


def test_it_comes_back_as_it_was_written_and_the_latest_replaces_the_one_before(tmp_path: Path) -> None:
    """In one step, and readable by its user alone (our choice)."""
    last = LastConversation(tmp_path / "state")
    last.write(Conversation(URL, "thread_0", "run_0"))
    last.write(ASKED)
    assert last.read(URL) == ASKED
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"base_url": "https://api.contit.cloud", "thread_id": "..", "run_id": "r"}',
        b'{"base_url": "https://api.contit.cloud", "thread_id": 1, "run_id": "r"}',
        b'{"base_url": "https://api.contit.cloud", "thread_id": "t", "run_id": "r", "more": 1}',
        None,
    ],
)
def test_a_broken_file_is_no_conversation_yet(tmp_path: Path, content: bytes | None) -> None:
    """With a hint; the next ask mends it (our choice)."""
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    last = LastConversation(tmp_path)
    with pytest.raises(NoConversationError, match="no last conversation") as caught:
        last.read(URL)
    assert "without --last" in caught.value.hint
    last.write(ASKED)
    assert last.read(URL) == ASKED


def test_a_conversation_with_another_contit_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its ids mean nothing there; both addresses are named (our choice)."""
    last = LastConversation(tmp_path)
    last.write(ASKED)
    with pytest.raises(NoConversationError) as caught:
        last.read("http://localhost:8787")
    assert URL in caught.value.message
    assert "http://localhost:8787" in caught.value.message
    assert f"--base-url {URL}" in caught.value.hint


def test_a_file_that_cannot_be_read_or_written_says_why(tmp_path: Path) -> None:
    """Here since a folder is in its place (our choice). Nothing half-written stays."""
    (tmp_path / FILE_NAME).mkdir()
    last = LastConversation(tmp_path)
    with pytest.raises(NoConversationError, match="cannot be read"):
        last.read(URL)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        last.write(ASKED)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
