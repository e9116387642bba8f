"""What English asks about items: how many, in which order, which of their properties."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.english.dates import NUMBERS
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import AskWords

_NUMBER: Final = r"\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty"
_BEFORE: Final = (
    rf"(?:the (?!last (?:{_NUMBER}|updated|changed|modified|edited|revised|created)))?(?:top )?(?:(?P<n>{_NUMBER}) )?"
)
_AFTER: Final = rf"(?: (?P<n>{_NUMBER})(?! of))?"
_RECENTLY: Final = rf"(?:most recently|most recent|recently|latest|newest|(?<=the )last|last(?= (?:{_NUMBER}) ))"
_SORTED: Final = r"(?:(?:sorted|sort|ordered|order|arranged|listed)(?: (?:them|these|those|it))? )?"
_CHANGED: Final = "(?:updated|changed|modified|edited|revised)"
_EACH: Final = r"(?:per|by|for each|for every|in each|in every|of each|with each|under each|each|every|(?:grouped|broken down|split) by)"

ENGLISH_ASKS: Final = AskWords(
    orders=(
        (phrase(rf"{_BEFORE}{_RECENTLY}{_AFTER} {_CHANGED}", f"{_CHANGED} (?:most recently|last)"), "updated", True),
        (phrase(rf"{_BEFORE}least recently {_CHANGED}"), "updated", False),
        (phrase(rf"{_BEFORE}{_RECENTLY}{_AFTER} (?:created|added|started)"), "created", True),
        (
            phrase(
                rf"{_BEFORE}(?:most recently|most recent|newest|latest|recently|recent|last(?! {_CHANGED})){_AFTER}",
                "(?:what's|what is) new",
            ),
            "date",
            True,
        ),
        (phrase(rf"{_BEFORE}(?:oldest|earliest|least recent|very first){_AFTER}"), "date", False),
        (phrase(rf"(?:the )?first (?:(?P<n>{_NUMBER}) )?(?=·)"), "date", False),
        (
            phrase(
                rf"{_BEFORE}(?:cheapest|least expensive|lowest[- ]priced?|most affordable){_AFTER}",
                "costs? the least",
                "(?:the )?lowest price",
            ),
            "price",
            False,
        ),
        (
            phrase(
                rf"{_BEFORE}(?:most expensive|priciest|dearest|costliest|highest[- ]priced?){_AFTER}",
                "costs? the most",
                "(?:the )?highest price",
            ),
            "price",
            True,
        ),
    ),
    sorted_by=(
        (
            phrase(
                rf"{_SORTED}by (?:the )?(?:titles?|names?)",
                rf"{_SORTED}(?:in )?alphabetical(?:ly)?(?: order)?",
                "(?:from )?a(?: to |-)z",
            ),
            "title",
            False,
        ),
        (
            phrase(
                rf"{_SORTED}by (?:the )?price,? (?:descending|desc|(?:the )?(?:highest|most expensive|dearest) first)",
                rf"{_SORTED}by (?:the )?price,? from high(?:est)? to low(?:est)?",
                "(?:the )?(?:most expensive|highest price|dearest) first",
                "from (?:the )?(?:most expensive|highest|dearest) to (?:the )?(?:cheapest|lowest)",
            ),
            "price",
            True,
        ),
        (
            phrase(
                rf"{_SORTED}by (?:the )?price(?:,? (?:ascending|asc|(?:the )?(?:lowest|cheapest) first))?",
                rf"{_SORTED}by (?:the )?price,? from low(?:est)? to high(?:est)?",
                "(?:the )?(?:cheapest|lowest price) first",
                "from (?:the )?(?:cheapest|lowest) to (?:the )?(?:most expensive|highest|dearest)",
            ),
            "price",
            False,
        ),
        (phrase(rf"{_SORTED}by (?:the )?(?:last )?(?:update|change|modification|updated)(?: date)?"), "updated", True),
        (
            phrase(
                rf"{_SORTED}(?:by (?:the )?(?:publication )?date,? )?(?:with )?(?:the )?(?:oldest|earliest) first",
                "from (?:the )?oldest to (?:the )?(?:newest|latest|most recent)",
                rf"{_SORTED}(?:in )?chronological(?:ly)?(?: order)?",
            ),
            "date",
            False,
        ),
        (
            phrase(
                rf"{_SORTED}(?:by (?:the )?(?:publication )?date,? )?(?:with )?(?:the )?(?:newest|latest|most recent) first",
                "from (?:the )?(?:newest|latest|most recent) to (?:the )?oldest",
                "(?:sorted|sort|ordered|order|arranged)(?: them)? by (?:the )?(?:publication )?date",
            ),
            "date",
            True,
        ),
    ),
    one_of_many=phrase(
        r"(?:which|what)(?: one)?(?:'s| is| was)(?: it)? (?:the|our)",
        r"(?:is|was)(?: our| the) (?:most|least|\w+est)",
        "which (?:one )?costs?",
    ),
    of_the_one=phrase(r"^(?:is|was|does|did|has|are|were|do) (?:the|our)"),
    number_of_items=phrase(rf"(?:top |any |just |only )?(?P<n>{_NUMBER})(?=[ ·]*·)"),
    numbers=NUMBERS,
    count=phrase("how many", "(?:the )?(?:total )?(?:number|count|amount) of", "count(?: up| of)?", "how much content"),
    average=phrase("(?:average|mean) (?:prices?|costs?)(?: of)?", "price ranges?(?: of)?"),
    most=phrase(
        "(?:the )?most(?: (?:of the|of|used|common|commonly used|frequent|frequently used|often|often used|active|productive|prolific))?",
        "used (?:the )?most",
    ),
    fewest=phrase("(?:the )?(?:fewest|least(?: (?:used|common|frequent|active|productive))?)"),
    most_of_one=phrase(
        "(?:most|fewest|least|more|many) (?:tags|topics|languages|locales|authors|categories|translations)"
        "(?! (?:are|do|does|have|has|exist|is|did|there|in|we))(?<!how many tags)(?<!how many languages)(?<!how many authors)"
    ),
    groups=(
        ("author", phrase(rf"{_EACH} (?:the )?(?:author|writer)s?", "did (?:each|every) (?:author|writer|person)")),
        ("type", phrase(rf"{_EACH} (?:content )?types?")),
        ("month", phrase(rf"{_EACH} months?", "monthly", "(?:in )?(?:which|what) months?")),
        ("year", phrase(rf"{_EACH} years?", "(?:in )?(?:which|what) years?")),
        ("tag", phrase(rf"{_EACH} (?:tag|topic)s?")),
        ("locale", phrase(rf"{_EACH} (?:language|locale)s?")),
        ("state", phrase(rf"{_EACH} (?:publication )?(?:state|status)")),
        ("category", phrase(rf"{_EACH} (?:product )?categor(?:y|ies)")),
    ),
    attributes=(
        (
            "author",
            phrase(
                r"who(?:'s)?(?: (?:has|have|is|was|are|were))?(?: (?:the )?(?:authors?|writers?))?(?: of)?"
                r"(?: (?:written|wrote|writes?|authored|created))?",
                "whose",
                "(?:by )?whom(?: (?:is|was|were) (?:it|this|that|they))?(?: written)?",
                "(?:the )?(?:authors?|writers?)(?: of| do we have)?",
            ),
        ),
        ("date", phrase("when", "(?:on )?(?:what|which) (?:date|day)", "(?:publication |publish(?:ing)? )?dates?")),
        ("price", phrase("how (?:much|expensive)", "pric(?:es?|ed|ing)", "costs?")),
        ("tags", phrase("tags|tag|tagged|topics?")),
        ("locales", phrase("languages?|locales?|translations?|translated")),
        ("state", phrase("state|status")),
        ("category", phrase("(?:product )?categor(?:y|ies)")),
        ("type", phrase("(?:content )?types?")),
        (
            "body",
            phrase(
                "(?:full )?(?:texts?|body|content|summary|description)",
                "summari[sz]e",
                "read",
                r"(?:about|say)(?=[ ?·.!]*$)",
            ),
        ),
        ("id", phrase("(?:gu|uu)?ids?|identifiers?")),
    ),
    when=phrase("(?:when|(?:on )?(?:what|which) (?:date|day)|date)"),
    details=phrase(
        "(?:more )?(?:details?|information|info)(?: (?:about|on|of|for))?",
        "tell me(?: more)?(?: about)?",
        "more about",
        "describe",
        "summari[sz]e",
        "open",
        "show|display|read",
    ),
)
"""What English asks."""
