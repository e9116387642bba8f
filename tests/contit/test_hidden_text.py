"""Characters that a model reads and a person cannot see are removed from answers; visible text stays as it is."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.contit.wire import without_hidden_characters

KEPT = {
    "markdown": "# Title\n\n- one\r\n\rtwo\t\n```python\nprint('x')\n```\n<script>alert(1)</script> &#8203;",
    "languages": "Grüße, perché, 漢字, עברית, العربية, हिन्दी, ไทย, 한국어, Ω",
    "persian plural": "کتاب\u200cها و می\u200cخواهم",
    "hindi conjunct, malayalam chillu": "क्\u200dष അവന്\u200d.",
    "mongolian vowel": "ᠪᠢᠴᠢᠭ ᠨ\u180eᠠ",
    "old korean": "\u1100\u119e \u1112\u119e\u11ab",
    "korean vowel, final and initial alone": "\u115f\u1161 \u115f\u1160\u11a8 \u1100\u1160",
    "hebrew order of marks": "\u05d4\u05b7\u034f\u05bd",
    "arabic number sign": "\u0600\u0661\u0662 \u06dd\u0661",
    "syriac abbreviation": "\u070f\u0710\u0712",
    "hieroglyphs": "\U00013080\U00013430\U00013081",
    "braille with an empty cell": "\u2813\u2800\u280a",
    "note head": "\U0001d159\U0001d165",
    "joined emoji": "👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f\u200d🔥 👩🏽\u200d🚀 🙂\u200d↔\ufe0f",
    "keycaps": "1\ufe0f\u20e3 #\ufe0f\u20e3 *\ufe0f\u20e3",
    "text and emoji style": "☺\ufe0e ☺\ufe0f ™\ufe0f ©\ufe0f",
    "scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "variants of maths, wide punctuation, Myanmar": "A ∩\ufe00 B 你好\uff0c\ufe01世界 \u1000\ufe00",
}


def is_hidden(code: int) -> bool:
    """Return whether a code point shows nothing: a control, or Default_Ignorable_Code_Point as Unicode derives it."""
    listed = (
        code in {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0}
        or 0x180B <= code <= 0x180F
        or 0xFE00 <= code <= 0xFE0F
        or 0xFFF0 <= code <= 0xFFF8
        or 0xE0000 <= code <= 0xE0FFF
    )
    return listed or unicodedata.category(chr(code)) in {"Cf", "Cc", "Zl", "Zp"}


HIDDEN = [chr(code) for code in range(0x110000) if is_hidden(code) and chr(code) not in "\t\n\r"]
BLANK = "\u2800\U0001d159"
SHOWS_NOTHING = {*HIDDEN, *BLANK}
SAMPLE = [*HIDDEN[:70], "\u115f", "\u1160", "\u2800", *"\ufe00\ufe01\ufe02\ufe0e\ufe0f\u200c\u200d\u034f", *BLANK]
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from(SAMPLE) | st.sampled_from("🏴❤a1क\u1161"))


def test_every_hidden_character_of_unicode_is_removed_between_letters_and_alone() -> None:
    assert len(HIDDEN) > 4_000
    for character in (*HIDDEN, *BLANK):
        text = f"a{character}b 1{character}2 字{character}. {character} {character * 3}"
        assert without_hidden_characters(text) == "ab 12 字.  ", hex(ord(character))


@given(st.lists(st.sampled_from(HIDDEN), min_size=2, max_size=300), st.sampled_from(["", "drafts.", *"x0Ω─∑→💡"]))
def test_no_alphabet_of_hidden_characters_carries_a_message(message: list[str], cover: str) -> None:
    left = without_hidden_characters(cover + "".join(message) + " End.")
    assert len(left) - len(cover + " End.") <= (cover == "💡")  # which may keep one


TAGS = "\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067"  # of England's flag
AS_AN_ALPHABET = {
    "a region that has no flag": (f"🏴{TAGS}{TAGS}\U000e007f", "🏴"),
    "a region without an end": (f"🏴{TAGS}", "🏴"),
    "a region without a flag": (f"x{TAGS}\U000e007f", "x"),
    "selectors in a row": ("☺\ufe0f" + "\ufe0e\ufe0f" * 20, "☺\ufe0f"),
    "selectors with something between": ("☺\ufe0f\u200b\ufe0e", "☺\ufe0f"),
    "joiners in a row": ("می" + "\u200c\u200d" * 20 + "خ", "میخ"),
    "joiners between emoji and text": ("💡\u200dx\u200d💡", "💡x💡"),
    "selectors spread over a rule": ("─\ufe0e─\ufe0f" * 64, "─" * 128),
    "a keycap without its key": ("1\ufe0f2\ufe0f", "12"),
    "fillers in a row": ("가\u115f\u1160\u115f\u1160 \u1100\u1160\u1160\u1160", "가 \u1100\u1160"),
    "mongolian selectors in a row": ("ᠠ\u180b\u180c\u180d\u180b", "ᠠ\u180b"),
    "ideographic selectors": ("葛\U000e0100\U000e0150", "葛"),
    "grapheme joiners in a row": ("e\u0301\u034f\u034f\u0301", "e\u0301\u0301"),
    "empty cells in a row": ("\u2813" + "\u2800" * 9, "\u2813\u2800"),
}
TEXTS = {name: (text, text) for name, text in KEPT.items()} | AS_AN_ALPHABET


@pytest.mark.parametrize(("text", "left"), TEXTS.values(), ids=TEXTS)
def test_writing_systems_and_emoji_keep_the_hidden_characters_that_they_need(text: str, left: str) -> None:
    """Elsewhere the same characters are removed, because they could spell a message."""
    assert without_hidden_characters(text) == left


@given(ANY_TEXT)
def test_cleaning_twice_is_cleaning_once_and_visible_characters_stay(text: str) -> None:
    def seen(value: str) -> list[str]:
        return [c for c in value if unicodedata.category(c)[0] in "LNPS" and c not in SHOWS_NOTHING]

    once = without_hidden_characters(text)
    assert without_hidden_characters(once) == once
    assert seen(once) == seen(text)


def test_an_answer_of_500_000_characters_takes_less_than_a_second() -> None:
    """Work that grows with the square of the length would take hours."""
    for unit in ("\u200b", "a\u200b", "a\ufe0f", "☺\ufe0f\ufe0f", "👩\u200d", "\u115f\u1160", "🏴\U000e0067"):
        began = time.process_time()
        without_hidden_characters(unit * (500_000 // len(unit)))
        assert time.process_time() - began < 1.0, ascii(unit)
