"""Which prompts are sent: all that say something, are not endless, and are text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.assistant.service import MAX_PROMPT_LENGTH, usable_prompt
from contit_mcp.errors import InvalidArgumentError


@pytest.mark.parametrize(
    "prompt",
    [
        "x",
        "What is new?",
        "Quali articoli?\n\n- uno\n- due",
        "漢字 🙂 \u200d",
        "  spaces stay  ",
        "\x00",
        "${not a placeholder}",
    ],
)
def test_a_usable_prompt_is_sent_unchanged(prompt: str) -> None:
    """Byte for byte."""
    assert usable_prompt(prompt) == prompt


@pytest.mark.parametrize("prompt", ["", " ", "\n\t\r\n", "\u2003\u00a0"])
def test_a_blank_prompt_is_refused(prompt: str) -> None:
    """Before any request."""
    with pytest.raises(InvalidArgumentError, match="blank"):
        usable_prompt(prompt)


def test_a_prompt_of_exactly_32000_characters_is_taken() -> None:
    """Characters, not bytes; the bound is ours."""
    assert MAX_PROMPT_LENGTH == 32_000
    assert usable_prompt("é" * 32_000) == "é" * 32_000
    with pytest.raises(InvalidArgumentError):
        usable_prompt("é" * 32_001)


def test_a_longer_prompt_is_refused_with_both_numbers() -> None:
    """And without a word of it."""
    with pytest.raises(InvalidArgumentError) as caught:
        usable_prompt("secretive " * 3_201)
    assert caught.value.message == "The prompt has 32,010 characters; 32,000 are allowed."
    assert "secretive" not in caught.value.hint


@pytest.mark.parametrize("prompt", ["\ud800", "x\udfff", "\ud83d\ude42", "a" * 100 + "\udc00"])
def test_a_prompt_that_is_no_text_is_refused(prompt: str) -> None:
    """A lone surrogate cannot be sent as UTF-8."""
    with pytest.raises(InvalidArgumentError, match="Unicode"):
        usable_prompt(prompt)


@given(st.text(st.characters(exclude_categories=()), max_size=100))
def test_every_accepted_prompt_can_be_sent(prompt: str) -> None:
    """It says something and is UTF-8."""
    try:
        accepted = usable_prompt(prompt)
    except InvalidArgumentError as error:
        assert error.message  # noqa: PT017 - or it is accepted
        return
    assert accepted.strip()
    assert accepted.encode().decode() == prompt
