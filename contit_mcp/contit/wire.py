"""Contit's documented wire format: paths, responses as models, and statuses as errors (docs/contit-api.md).

Text from upstream never enters an error message or a log line: it could repeat the prompt or hold an answer. The last
part removes hidden characters from answers.
"""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from contit_mcp import errors
from contit_mcp.telemetry.logging import get_logger

ModelT = TypeVar("ModelT", bound=BaseModel)
log = get_logger(__name__)

MAX_ID_LENGTH = 256  # the documented examples have 24 characters
START = "/ai-assistant/thread"
STATUS = START + "/{threadId}/run/{runId}/status"
RESPONSE = START + "/{threadId}/response"


def id_problem(value: str) -> str | None:
    """Return why a text cannot be an id, or None if it can. Ids are opaque."""
    if not value.strip():
        return "is empty"
    if len(value) > MAX_ID_LENGTH:
        return f"is longer than {MAX_ID_LENGTH} characters"
    if value in {".", ".."} or not value.isprintable():
        return "is not an id"
    return None


def check_id(name: str, value: str) -> str:
    """Return an id. Raises InvalidArgumentError, which names the argument, if `value` cannot be an id."""
    if problem := id_problem(value):
        raise errors.InvalidArgumentError(
            f"{name} {problem}.", hint="Use the id exactly as contit_ask or contit_start gave it."
        )
    return value


def path_of(route: str, *ids: str) -> str:
    """Return a route with the ids of a thread and a run, each as one percent-encoded segment."""
    named = zip(("thread_id", "run_id"), ids, strict=False)
    return route.format_map({to_camel(name): quote(check_id(name, value), safe="") for name, value in named})


def _usable(value: str) -> str:
    if problem := id_problem(value):
        raise ValueError(problem)
    return value


_Id = Annotated[str, AfterValidator(_usable)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True)


class StartedRun(_Wire):
    """The body of the response to `POST /ai-assistant/thread`."""

    thread_id: _Id
    run_id: _Id


class RunPhase(StrEnum):
    """What a status word of Contit means for us. `runs.record.Phase` has these and `starting`."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


# Assumed from the OpenAI Assistants vocabulary, which the documented ids and words resemble.
_ENDED_WITHOUT_AN_ANSWER = frozenset({"failed", "cancelled", "canceled", "expired", "incomplete"})


class RunStatus(_Wire):
    """The body of the response to `GET …/status`. `word` is Contit's own, `phase` what it means for us."""

    word: str = Field(alias="status", min_length=1, max_length=200)

    @property
    def phase(self) -> RunPhase:
        """The end that the word names; any word that names no end means in progress."""
        word = self.word.strip().casefold()
        if word in _ENDED_WITHOUT_AN_ANSWER:
            return RunPhase.FAILED
        return RunPhase.COMPLETED if word == "completed" else RunPhase.IN_PROGRESS

    @property
    def documented(self) -> bool:
        """Whether Contit's documentation names the word."""
        return self.word in set(RunPhase)


class ThreadResponse(_Wire):
    """The body of the response to `GET …/response`."""

    text: str = Field(alias="response")


# --- Statuses and bodies -----------------------------------------------------------------------------------------

_LATER_HINT = "Try again in a little while."
NOT_CONTIT_HINT = "Check CONTIT_BASE_URL; contit-mcp check says whether Contit answers there."
_LONGEST_RETRY_AFTER = 3_600.0  # seconds; a wrong `Retry-After` must not stop us for a day

_BY_STATUS: dict[int, tuple[type[errors.APIStatusError], str, str]] = {  # error, message, hint
    400: (errors.APIStatusError, "Contit refused the request as malformed (400).", "Ask in other words."),
    401: (
        errors.AuthenticationError,
        "Contit refused the credential (401): it is missing, wrong, expired or revoked.",
        "Check the credential that is configured for Contit (contit-mcp check tells more).",
    ),
    403: (
        errors.PermissionDeniedError,
        "The Contit credential is valid but may not use the AI assistant (403).",
        "Give it the ReadAccess policy in Contit, or configure another credential.",
    ),
    404: (errors.NotFoundError, "Contit does not know this thread or run (404).", "Check the ids."),
    409: (errors.APIStatusError, "Contit refused the request because of a conflict (409).", _LATER_HINT),
    422: (errors.APIStatusError, "Contit could not process the request (422).", "Ask in other words."),
    429: (errors.RateLimitError, "Contit refused the request because of too many requests (429).", _LATER_HINT),
}
_BY_CLASS: dict[int, tuple[type[errors.APIStatusError], str, str]] = {  # by the first digit: error, message, hint
    3: (
        errors.RedirectError,
        "Contit's address answered with a redirect (HTTP {}), which is never followed.",
        "Set CONTIT_BASE_URL to the address where Contit really is.",
    ),
    5: (errors.InternalServerError, "Contit, or something between it and us, has a fault (HTTP {}).", _LATER_HINT),
}
_UNEXPECTED = errors.APIStatusError, "Contit answered with an unexpected status (HTTP {}).", NOT_CONTIT_HINT


def parse(response: httpx.Response, model: type[ModelT]) -> ModelT:
    """Return the body of a 2xx response as `model`. Raises APIError for any other status or body."""
    problem = None
    if response.is_success:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as exc:
            first = exc.errors()[0]
            problem = f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['type']}"
    media_type = re.match(r"[\w.+/-]{0,60}", response.headers.get("Content-Type", ""))
    log.debug(
        "upstream.refused_body",
        status=response.status_code,
        media_type=media_type and media_type[0],
        size=len(response.content),
        problem=problem,
    )
    if not response.is_success:
        raise _status_error(response)
    # Not chained: a validation error can quote its input, which may be an answer.
    raise errors.APIResponseValidationError(
        f"Contit's response was not what its documentation promises (HTTP {response.status_code}).",
        hint="Try again; if it stays so, check CONTIT_BASE_URL and whether a proxy answers in Contit's place.",
    )


def later_hint(seconds: float) -> str:
    """Return the hint to try again after this time."""
    whole = max(1, math.ceil(seconds))
    return f"Try again in {whole} second{'' if whole == 1 else 's'}."


def parse_retry_after(value: str, *, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header, at most an hour; None if it is neither a number nor a date."""
    if re.fullmatch(r"[ \t]*[0-9]+[ \t]*", value):
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # the latter for a zone or year of many digits
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _status_error(response: httpx.Response) -> errors.APIStatusError:
    status = response.status_code
    kind, message, hint = _BY_STATUS.get(status) or _BY_CLASS.get(min(status // 100, 5), _UNEXPECTED)
    retry_after = None
    if issubclass(kind, errors.RateLimitError | errors.InternalServerError):
        retry_after = parse_retry_after(response.headers.get("Retry-After", ""))
        hint = hint if retry_after is None else later_hint(retry_after)
    return kind(message.format(status), hint=hint, status_code=status, retry_after=retry_after)


# --- Hidden text -----------------------------------------------------------------------------------------------------

# Generated from Unicode 17: Default_Ignorable_Code_Point, Cf, Zl, Zp, and Cc other than tab, LF and CR; in two parts.
# U+2800 and U+1D159 are symbols by category, and blank by shape.
_NEVER_NEEDED = (
    "0-8 B-C E-1F 7F-9F AD 61C 17B4-17B5 200B 200E-200F 2028-202E 2060-206F 3164 FE02-FE0D FEFF FFA0 FFF0-FFFB"
    " 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
_NEEDED_IN_PLACES = (
    "34F 600-605 6DD 70F 890-891 8E2 115F-1160 180B-180F FE00-FE01 FE0E-FE0F 110BD 110CD 13430-1343F 2800 1D159"
)

# Generated from Unicode 17: Extended_Pictographic.
_PICTOGRAPHIC = (
    "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2 25AA-25AB 25B6 25C0"
    " 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623 2626 262A 262E-262F 2638-263A 2640 2642"
    " 2648-2653 265F-2660 2663 2665-2666 2668 267B 267E-267F 2692-2697 2699 269B-269C 26A0-26A1 26A7 26AA-26AB"
    " 26B0-26B1 26BD-26BE 26C4-26C5 26C8 26CE-26CF 26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD 2702 2705"
    " 2708-270D 270F 2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 2763-2764 2795-2797"
    " 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F004 1F02C-1F02F 1F094-1F09F"
    " 1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF 1F170-1F171 1F17E-1F17F 1F18E 1F191-1F19A 1F1AF-1F1E5 1F201-1F20F"
    " 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F25F 1F266-1F321 1F324-1F393 1F396-1F397 1F399-1F39B 1F39E-1F3F0"
    " 1F3F3-1F3F5 1F3F7-1F3FA 1F400-1F4FD 1F4FF-1F53D 1F549-1F54E 1F550-1F567 1F56F-1F570 1F573-1F57A 1F587"
    " 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1"
    " 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 1F6CB-1F6D2 1F6D5-1F6E5 1F6E9 1F6EB-1F6F0 1F6F3-1F6FF"
    " 1F7DC-1F7F0 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8AF 1F8BC-1F8BF 1F8C2-1F8CF 1F8D9-1F8FF"
    " 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA58-1FA5F 1FA6E-1FAFF 1FC00-1FFFD"
)
_SKIN_TONES = "1F3FB-1F3FF"

# Blocks of the scripts whose letters join or form conjuncts, from Arabic to Adlam; without their own selectors.
_JOINING = (
    "620-6DC 6DE-6FF 710-74F 750-77F 7C0-7FF 840-86F 870-88F 892-8E1 8E3-DFF F00-109F 1780-17B3 17B6-17FF 1807"
    " 180A 1820-18AF 1A20-1AAF 1B00-1BBF A800-A82F A840-A87F A8E0-A8FF A980-A9FF AA60-AA7F AAE0-AAFF ABC0-ABFF"
    " FB50-FDFF FE70-FEFC 10AC0-10AFF 10B80-10BAF 10D00-10D3F 10F30-10FDF 11000-110BC 110C2-11FFF 1E900-1E95F"
)

# The bases of StandardizedVariants.txt: those of U+FE00, and those of U+FE00 and U+FE01.
_MATHS_MYANMAR_PHAGS_PA_MANICHAEAN = (
    "2205 2229-222A 2268-2269 2272-2273 228A-228B 2293-2295 2297 229C 22DA-22DB 2A3C-2A3D 2A9D-2A9E 2AAC-2AAD"
    " 2ACB-2ACC 1000 1002 1004 1010-1011 1015 1019-101A 101C-101D 1022 1031 1075 1078 107A 1080 AA60-AA66 AA6B-AA6C"
    " AA6F AA7A A856 A85C A85E-A860 A868 10AC5-10AC6 10AD6-10AD7 10AE1"
)
_WIDE_PUNCTUATION = "3001-3002 FF01 FF0C FF0E FF1A-FF1B FF1F"

_REGIONS = ("gbeng", "gbsct", "gbwls")  # whose flag is an emoji: a black flag, tag letters, a cancel tag


def _ranges(table: str) -> str:
    """Return a table of hexadecimal ranges as the inside of a pattern's `[…]`."""
    ends = [item.split("-") for item in table.split()]
    return "".join(f"\\U{int(low[0], 16):08x}-\\U{int(low[-1], 16):08x}" for low in ends)


def _in_tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(character)) for character in text)


def _removal(characters: str, *contexts: str) -> re.Pattern[str]:
    """Return a pattern for one of the characters, unless a context matches around it. It takes linear time."""
    return re.compile(f"[{characters}]" + "".join(f"(?<!{context})" for context in contexts))


_PICTURES = _ranges(_PICTOGRAPHIC)
_JOINED = _ranges(_JOINING)
_JOINERS = "\u200c\u200d"
_MONGOLIAN = "\u1820-\u18aa"
_MARKS = "\u0300-\u034e\u0350-\u036f\u0591-\u05c7"
_LEADING, _VOWELS, _TRAILING = "\u1100-\u115e\ua960-\ua97c", "\u1161-\u11a7\ud7b0-\ud7c6", "\u11a8-\u11ff\ud7cb-\ud7fb"
_HIEROGLYPHS = "\U00013000-\U0001342f\U00013441-\U00013446\U00013460-\U000143fa"
_NUMBER_MARKS = "\u0600-\u0605\u06dd\u0890\u0891\u08e2"

_REGION_FLAG = f"\U0001f3f4(?:{'|'.join(map(_in_tags, _REGIONS))})\U000e007f"
_USELESS = re.compile(f"({_REGION_FLAG})|[{_ranges(_NEVER_NEEDED)}]+")
_MISPLACED = _removal(
    _ranges(_NEEDED_IN_PLACES),
    f"(?<=[{_PICTURES}])[\ufe0e\ufe0f]",
    "(?<=[0-9#*])\ufe0f(?=\u20e3)",  # keycaps
    f"(?<=[{_ranges(_MATHS_MYANMAR_PHAGS_PA_MANICHAEAN)}])\ufe00",
    f"(?<=[{_ranges(_WIDE_PUNCTUATION)}])[\ufe00\ufe01]",
    f"(?<=[{_MONGOLIAN}])[\u180b-\u180d\u180f]",
    f"(?<=[{_MONGOLIAN}\u180b-\u180d\u180f])\u180e(?=[{_MONGOLIAN}])",
    f"\u115f(?=[{_VOWELS}])",
    f"\u115f(?=\u1160[{_TRAILING}])",
    f"(?<=[{_LEADING}])\u1160",
    f"(?<=\u115f)\u1160(?=[{_TRAILING}])",
    f"(?<=[{_MARKS}])\u034f(?=[{_MARKS}])",
    f"[{_NUMBER_MARKS}](?=[\u0660-\u0669\u06f0-\u06f9])",
    "\u070f(?=[\u0710-\u074f])",
    "[\U000110bd\U000110cd](?=[\U00011080-\U000110bc])",
    f"(?<=[{_HIEROGLYPHS}])[\U00013430-\U0001343f]",
    f"[\U00013430-\U0001343f](?=[{_HIEROGLYPHS}])",
    "(?<=[\u2801-\u28ff])\u2800",  # Braille
    "\u2800(?=[\u2801-\u28ff])",
    "\U0001d159(?=[\U0001d15a-\U0001d172])",  # an empty note head
)
_UNJOINING = _removal(
    _JOINERS,
    f"(?<=[{_JOINED}])[{_JOINERS}](?=[{_JOINED}])",
    f"(?<=[{_JOINED}])\u200d(?![\\w{_JOINERS}])",  # a letter in its joining form, shown alone
    f"(?<![\\w{_JOINERS}])\u200d(?=[{_JOINED}])",
    f"(?<=[{_PICTURES}\ufe0f{_ranges(_SKIN_TONES)}])\u200d(?=[{_PICTURES}])",
)


def without_hidden_characters(text: str) -> str:
    """Return `text` without characters that can hide instructions. Writing systems and emoji keep what they need."""
    return _UNJOINING.sub("", _MISPLACED.sub("", _USELESS.sub(r"\1", text)))
