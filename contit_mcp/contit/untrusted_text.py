"""Answers carry whatever an editor typed into the CMS; take out what a reader cannot see but a model can.

Provenance: our choice (contit-api.md, "Not documented", 10). Everything visible stays byte for byte.
"""

import re

# A flag emoji of a region is a black flag, tag letters and a cancel tag: the one honest use of tag characters.
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"

_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, but not tab, line feed and carriage return
    "\u061c\u200b\u200e\u200f\u2060-\u2065\ufeff"  # zero width, direction marks, invisible operators
    "\u202a-\u202e\u2066-\u206f"  # embeddings, overrides and isolates: text that reads as it is not
    "\u180e\u3164\uffa0"  # a vowel separator and fillers that show nothing
    "\u2028\u2029\ufff0-\ufffb"  # separators and annotation anchors
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format controls of shorthand and music
    "\U000e0000-\U000e0fff"  # tag characters, a whole hidden alphabet, and selectors 17-256: hidden bytes
)
_SELECTORS = "\ufe00-\ufe0f"  # emoji or text style, and variants of ideographs: one after its character
_JOINERS = "\u200c\u200d"  # scripts and emoji need them: one, at most two between characters

_HIDDEN = re.compile(f"(?P<flag>{_REGION_FLAG})|[{_INVISIBLE}{_SELECTORS}{_JOINERS}]+")
_USELESS = re.compile(f"[{_INVISIBLE}]+")
_NEEDED = re.compile(f"[{_SELECTORS}]?[{_JOINERS}]{{0,2}}")


def without_hidden_characters(text: str) -> str:
    """Return `text` without characters that can hide instructions.

    Joiners and variation selectors (U+200C, U+200D, U+FE00-FE0F) stay where a script or an emoji can need them,
    but not in runs that could spell something; region flags stay.
    """
    return _HIDDEN.sub(_what_is_needed, text)


def _what_is_needed(match: re.Match[str]) -> str:
    if flag := match["flag"]:
        return flag
    needed = _NEEDED.match(_USELESS.sub("", match[0]))
    return needed[0] if needed else ""
