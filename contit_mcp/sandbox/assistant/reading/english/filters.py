"""How English narrows items down by their dates, prices and texts."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.english.items import NOT
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import FilterWords

_MONEY: Final = r"(?:€ ?|eur |euros? )?(?P<{}>\d+(?:[.,]\d{{1,2}})?)(?: ?€| ?eur(?:os?)?(?!\w))?"
_LOW: Final = _MONEY.format("low")
_HIGH: Final = _MONEY.format("high")
_EXACT: Final = _MONEY.format("exact")
_IS: Final = r"(?:(?:that |which )?(?:are |is )?(?:priced? |costs? |costing |a price )?)?"
_CHANGED: Final = "(?:updated|changed|modified|edited|revised|touched)"
_WORDS: Final = r"(?P<words>[^·?!.;:,]+"

ENGLISH_FILTERS: Final = FilterWords(
    updated=phrase(
        rf"(?:(?:last|lastly|been) )*(?:{_CHANGED}|update|change|modify)",
        "last (?:update|change|edit|modification)",
    ),
    not_updated=phrase(rf"{NOT}(?: been)? {_CHANGED}"),
    created=phrase("created?", "creation date", "added", "started"),
    price=phrase("price[ds]?", "costs?", "costing", "cheaper", "expensive", "euros?", "eur", r"\d+ ?(?:eur|euros?)"),
    bounds=(
        (phrase(rf"{_IS}(?:between|from) {_LOW} (?:and|to) {_HIGH}"), True),
        (phrase(rf"(?:costs?|costing|priced?)(?: exactly)?(?: at)? {_EXACT}", rf"for exactly {_EXACT}"), True),
        (phrase(rf"{_IS}(?:under|below|(?:for )?less than|lower than|cheaper than) {_HIGH}"), False),
        (phrase(rf"{_IS}{NOT} (?:cost )?(?:more than|over|above) {_HIGH}"), True),
        (phrase(rf"{_IS}(?:for )?(?:up to|at most|no more than|a maximum of|max(?:imum)?) {_HIGH}"), True),
        (phrase(rf"{_IS}(?:over|above|more than|higher than|more expensive than|dearer than) {_LOW}"), False),
        (phrase(rf"{_IS}(?:at least|from|starting at|a minimum of|no less than) {_LOW}"), True),
    ),
    about=phrase(
        r"(?:(?:that |which )?(?:(?:is|are|talks?|talking|speaks?|speaking|tells?|writes?|written|has to do|have to do) )?about|regarding"
        r"|concerning|related to|dealing with|deals? with|on the (?:topic|subject) of|(?<!· )(?<!are )(?<!is )(?<!was )(?<!were )(?<!went )(?<!go )(?<!goes )(?<!put )(?<!be )(?<!it )on"
        r"|(?:that |which )?(?:mentions?|mentioning|mentioned|contains?|containing|with the words?|covers?|covering|discuss(?:es|ing)?|deals? with|touch(?:es)? on|refers? to|featur(?:es?|ing) the words?|in which (?:we )?mention))"
        r"(?: the)?(?: (?:words?|topic|subject|term|phrase)(?: of)?)? (?P<topic>[^·?!.;:]+)"
    ),
    topic_end=phrase(
        "come|comes|came|go|goes|appear|cost|updated|changed|modified|edited|created|last|that|which|who|are|is|were|was|have|has|do|does|did|written|sorted|ordered|tagged|but|how many|show|list"
        "|available|translated|with|without|not|from|by|since|per|did"
    ),
    in_title=(
        phrase(
            rf"(?:with|has|have|having|containing|contains?|includes?|including|mention|mentioning|words?) (?:the )?"
            rf"(?:words? )?{_WORDS}?) in (?:the|its|their|a) (?:titles?|names?)"
        ),
        phrase(r"(?P<words>[^ ·?!.;:,]+) in (?:the|its|their|a) (?:titles?|names?)"),
        phrase(
            r"(?:whose |with )?(?:the |a )?(?:titles?|names?) (?:that )?"
            rf"(?:contain(?:s|ing)?|includ(?:es?|ing)|with|mention(?:s|ing)?|has|have)(?: the)?(?: words?)? {_WORDS})"
        ),
        phrase(rf"(?:called|named|titled|entitled) {_WORDS})"),
    ),
    search=phrase("find", "search(?: for)?", "look(?:ing)? (?:for|up)"),
    topic_first=True,
    qualities=phrase(r"\w{3,}(?<!e)ed"),
    seek=phrase(
        "(?:is|are) there(?: any| an?)?",
        "(?:do|have) we (?:have|got)(?: any| an?)?",
        "^any",
        "anything",
        "something",
    ),
    unsearchable=phrase(
        "not|no|never|none|nothing|without|except|more|most|less|least|fewer|fewest|than|better|best|worst|good|bad",
        "long|longest|short|shortest|big|biggest|small|smallest|large|largest|heavy|heaviest|light|lightest",
        "why|how|where|same|different|difference|compare|comparison|versus|vs|or|if|because|only|before|after|since",
        "until|between|over|under|above|below|others?|another|else|either|neither|every|each|first|second|third",
        "next|previous|early|late|mid|end|start|beginning|half|should|sum|total|average|mean|median|percent",
        "percentage|share|per|delete|remove|create|update|change|publish|rename|translate|write|draft|updated|changed",
        "edited|modified|created|images?|pictures?|photos?|comments?|views?|likes?|visitors?|stock|words?|characters?",
        "weekends?|weekdays?|days?|weeks?|months?|years?|dates?|times?|popular|important|interesting|relevant|urgent|ready|scheduled|deleted|archived|reviewed|approved|expired",
        r"spanish|french|tomorrow|his|her|their|he|she|unless|by \w+|from \w+|\w*n't|\d+|similar|related|cheap|expensive|hold|sale|offer|discount|display",
        "videos?|links?|typos?|errors?|mistakes?|attachments?|captions?|headings?|keywords?|metadata|audio|pdfs?|homepage|instagram|facebook|newsletter",
    ),
)
"""English filters."""
