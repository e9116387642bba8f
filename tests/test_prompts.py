"""Which prompts are sent: all that say something, are not endless, and are text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.assistant.starting import usable_prompt
from contit_mcp.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        *((blank, "blank") for blank in ("", " ", "\n\t\r\n", "\u2003\u00a0")),
        *((no_text, "Unicode") for no_text in ("\ud800", "x\udfff", "\ud83d\ude42")),
        ("secretive " * 3_201, "The prompt has 32,010 characters; 32,000 are allowed."),
        ("é" * 32_001, "32,001 characters"),
    ],
)
def test_a_prompt_that_cannot_be_sent_is_refused_without_a_word_of_it(prompt: str, said: str) -> None:
    """Blank, endless, or no text: a lone surrogate cannot be sent as UTF-8. Characters are counted, not bytes."""
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        usable_prompt(prompt)
    assert "secretive" not in caught.value.message + caught.value.hint
    assert usable_prompt("é" * 32_000) == "é" * 32_000


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100).filter(str.strip))
def test_any_other_prompt_is_sent_unchanged(prompt: str) -> None:
    """Byte for byte."""
    assert usable_prompt(prompt) == prompt
