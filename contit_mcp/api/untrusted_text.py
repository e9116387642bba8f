"""Answers carry whatever an editor typed into the CMS; take out what a reader cannot see but a model can.

Provenance: our choice (contit-api.md, "Not documented", 10). Everything visible stays byte for byte.
"""

import re

# A flag emoji of a region is a black flag, tag letters and a cancel tag: the one honest use of tag characters.
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"

_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, but not tab, line feed and carriage return
    "\u200b\u200e\u200f\u2060-\u2064\ufeff"  # zero width, direction marks, invisible operators
    "\u202a-\u202e\u2066-\u2069\u206a-\u206f"  # embeddings, overrides and isolates: text that reads as it is not
    "\u2028\u2029\ufff9-\ufffb"  # separators and annotation anchors
    "\U000e0000-\U000e007f"  # tag characters: a whole hidden alphabet
    "\U000e0100-\U000e01ef"  # variation selectors 17-256: hidden bytes
)
_HIDDEN = re.compile(f"(?P<flag>{_REGION_FLAG})|[{_INVISIBLE}]")


def without_hidden_characters(text: str) -> str:
    """Return `text` without characters that can hide instructions.

    Joiners that scripts and emoji need (U+200C, U+200D, U+FE0F) and region flags stay.
    """
    return _HIDDEN.sub(lambda match: match["flag"] or "", text)
