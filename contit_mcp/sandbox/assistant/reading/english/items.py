"""How English names items by what they have: type, state, author, tag, language."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.names import Names
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import ItemWords, list_phrases

NOT: Final = r"(?:but )?(?:(?:is|are|was|were|has|have|had|do|does|did)(?: not|n't)|not|never)"
"""Negations that stand before what they negate."""
_INCLUDING: Final = r"(?:including|included|include|counting|and also|along with|together with|considering)"
_DRAFTS: Final = r"(?:drafts?|unpublished ones|drafted ones)"
_WHATEVER: Final = (
    r"(?:whatever|whichever|regardless of|irrespective of|no matter(?: (?:the|what|which))?|independent(?:ly)? of)"
)
EXCEPT: Final = r"(?:except(?: for)?|excluding|other than|apart from|without|but not|but no|minus)"
ONES: Final = r"(?: (?:those|these|the|any|a|an|ones|articles?|posts?|products?|pages?|items?|anything|anyone))*"

_JOIN: Final = r"(?:,? and |,? or |,? nor |, ?| ?& ?| ?/ ?|,? as well as )(?:(?:both|in|into|by|from|the|tag|tagged|about|with|on) )*"
_VERSION: Final = r"(?: (?:translation|version|text)s?)?"

AUTHORS: Final = Names.of(
    {
        "Giulia Ferrari": "giulia ferrari|giulia|ferrari",
        "Marco Rinaldi": "marco rinaldi|marco|rinaldi",
        "Anna Weber": "anna weber|anna|weber",
        "Thomas Huber": "thomas huber|thomas|huber",
        "Elena Moretti": "elena moretti|elena|moretti",
        "Emily Carter": "emily carter|emily|carter",
        "Davide Gallo": "davide gallo|davide|gallo",
    }
)
"""The workspace's authors: full names, first names and last names are all unmistakable."""

TAGS: Final = Names.of(
    {
        "bestseller": "best[ -]?sellers?|best[ -]selling",
        "camping": "camping",
        "climbing": "climbing",
        "company": "company",
        "cycling": "cycling",
        "events": "events?",
        "family": "family|families",
        "food": "food",
        "hiking": "hiking|hikes?",
        "legal": "legal",
        "safety": "safety",
        "sailing": "sailing",
        "skiing": "skiing|ski",
        "support": "support",
        "sustainability": "sustainability|sustainable",
        "technology": "technology|tech",
        "travel": "travell?ing|travel",
    }
)

ENGLISH_ITEMS: Final = ItemWords(
    either=phrase("or", "/"),
    both=phrase("both"),
    authors=list_phrases(
        AUTHORS,
        _JOIN,
        have=(
            r"(?:(?:(?:written|authored|created|penned|signed) )?(?:by|from|of) |did |has |have )?(?:either |both )?"
            r"(?:the )?(?:authors? |writers? )?(?:is |are |was |= ?|: ?)?LIST(?:'s?)?",
        ),
        have_not=(
            rf"(?:{NOT}|{EXCEPT}|anyone but|everyone but){ONES}(?: been)?(?: written| authored| created)?"
            rf"(?: by| from| of)?(?: anyone| anybody| someone| everyone)?(?: but| other than| except)?{ONES} LIST",
            r"(?:by |from )?(?:anyone|anybody|someone|everyone|authors?) (?:but|other than|except|apart from) LIST",
            r"LIST (?:has not|hasn't|have not|haven't|did not|didn't) (?:write|written|author|authored)",
        ),
    ),
    tags=list_phrases(
        TAGS,
        _JOIN,
        have=(
            r"(?:(?:tagged|labell?ed|marked|categori[sz]ed)(?: (?:as|with|under|by|in))?(?: the)?(?: tags?)? "
            r"|(?:with|have|has|having|carry|carrying|under|in|for) (?:both )?(?:the |a )?"
            r"(?:tags?|labels?|topics?|categor(?:y|ies)) (?:of )?"
            r"|(?:the )?(?:tags?|topics?):? (?:is |are |= ?)?|#)?"
            r"[\"']?(?:either |both )?(?:the )?LIST[\"']?(?:-related|-themed)?(?: (?:tags?|topics?))?",
        ),
        have_not=(
            rf"(?:{NOT}|{EXCEPT}|no){ONES}"
            r"(?: (?:tagged|labell?ed|about|related to|with|have|has|carry|on|under|in|been|as))*"
            rf"{ONES}(?: tags?)? [\"']?LIST[\"']?(?: tags?)?",
        ),
    ),
    locales=list_phrases(
        Names.of({"en": "english", "it": "italian", "de": "german"}),
        _JOIN,
        have=(
            r"(?:also |already |both )?(?:(?:available|translated|written|exist(?:s|ing)?|offered) )?(?:also )?"
            r"(?:in|into|to) (?:both |either )?LIST(?: too| as well)?",
            rf"(?:with|have|has|having) (?:both )?(?:an? |the )?LIST{_VERSION}",
            r"(?:an? |the )?LIST(?:[ -]language)? (?:translation|version|title|name|text|body|description)s?(?: of)?",
            r"LIST(?:[ -]language)?(?= (?:articles?|posts?|products?|pages?|items?|drafts?|content|published|ones?))",
        ),
        have_not=(
            rf"{NOT}(?: (?:yet|been|available|translated|written|exist|existing|present|also))* (?:in|into|to)"
            rf" (?:either )?LIST{_VERSION}(?: yet)?",
            rf"{EXCEPT}(?: (?:also|available|translated))*(?: in| into)? LIST{_VERSION}",
            r"(?:(?:are|is|exist|exists) )?neither (?:(?:available|translated) )?(?:in|into) LIST",
            rf"(?:{NOT}(?: yet)? (?:have|got)|have no|has no|having no|with no|without|no|lack(?:s|ing)?"
            r"|miss(?:es|ing)?|(?:still )?needs?|needing|awaiting|untranslated (?:in|into)|unavailable in)"
            rf"(?: (?:any|an?|the|their|its|yet))* LIST{_VERSION}(?: yet)?",
        ),
    ),
    only_locale=phrase(
        r"(?:(?:exists?|available|written|published|are|is|have) )?(?:only|exclusively|just)"
        r" (?:exists? |available |written )?in (?P<name>english|italian|german)",
        r"in (?P<name>english|italian|german) only",
        r"(?P<name>english|italian|german)[ -]only",
    ),
    every_locale=phrase(
        r"(?:available |translated |exist )?(?:in|into) (?:all|every|each|all three|three)(?: of)?(?: the)?(?: three)?"
        r" (?:languages?|locales?)",
        "fully translated",
    ),
    types=Names.of(
        {
            "Article": r"(?:blog |news )?(?:articles?|posts?|stories|story)|blogs?|news(?: items?)?",
            "Product": "products?",
            "Page": r"(?:web ?)?pages?",
        }
    ),
    categories=Names.of(
        {
            "sleeping-bags": "sleeping bags?",
            "tents": "tents?",
            "backpacks": r"back ?packs?|ruck ?sacks?|day ?packs?|packs?",
            "jackets": "jackets?",
            "boots": "boots?|shoes?|footwear",
            "accessories": "accessory|accessories",
        }
    ),
    type_join=r"(?:,? and |,? or |, ?| ?& ?| ?/ ?|,? as well as )(?:the |all |all the )?",
    except_types=rf"(?:{EXCEPT}|but|besides|(?:that |which )?(?:are|is) not|(?:that |which )?(?:aren't|isn't))"
    r"(?: (?:the|all|any|an?))*",
    available=phrase("available|translat(?:ed|ions?)|exists?|(?:is|are) there|does|do|have|has", r"^(?:is|are)"),
    all_are=phrase(
        r"^(?:are|is) (?:all|every)(?: the)? (?:\w+ ){1,2}(?:already |still )?(?:published|online|live|drafts?|unpublished)[ ?!.]*$"
    ),
    items=phrase(
        r"(?:content )?(?:items?|entries|entry)", "pieces?(?: of content)?", "anything", "everything", "things?"
    ),
    several=phrase(
        "articles|posts|stories|products|pages|items|entries|pieces|contents?|drafts|tents|back ?packs|ruck ?sacks|jackets",
        "boots|shoes|accessories|sleeping bags|ones|things|news|everything|(?<!most )recently|what(?:'s| is) new",
    ),
    any_state=phrase(
        r"(?:both |either )?(?:drafts?|published)(?: ones)?,? (?:and|or|&)"
        r" (?:drafts?|unpublished|published)(?: ones)?",
        r"(?:whether )?published or (?:not|unpublished)",
        r"(?:both )?published and (?:not|unpublished)",
        r"(?:whether )?(?:they are |it is )?(?:a draft|drafts) or (?:not|published)",
        r"not (?:just|only) (?:the )?published(?: ones)?",
        rf"{_INCLUDING}(?: (?:the|all|any|also|even))* {_DRAFTS}(?: too| as well)?",
        rf"(?<!there )(?<!have )(?<!any )(?:(?:and|even|also|plus) )?(?:the |all )?{_DRAFTS}"
        r" (?:(?:are |being )?included|too|as well|and all|inclusive|notwithstanding)",
        rf"{_WHATEVER} (?:the |their |its |publication )*(?:state|status)(?: (?:is|are|they are in|it is in))?",
        r"(?:in|of) (?:any|either|whatever|every|whichever) (?:state|status)",
    ),
    any_type=phrase(
        rf"{_WHATEVER} (?:the |their |its |kind of |content )*(?:types?|kinds?)(?: of content)?(?: (?:is|are|it is|they are))?",
        r"(?:of|in) (?:any|whatever|whichever|all) (?:content )?(?:types?|kinds?)",
        r"(?:any|all) (?:content )?(?:types?|kinds?)(?: of (?:content|items?))?",
    ),
    published=phrase(
        rf"(?:{NOT}|except(?: for)?|excluding|other than|apart from|but not)(?: (?:the|a|any|in|still|as))* drafts?",
        r"(?:already |currently )?(?:published|live|online)(?: (?:state|status))?",
        "publish",
        "(?:went|gone|go) live",
        "launched|launch",
        "(?:came|come|comes) out|appeared|appear",
        "released?",
        "(?:put|brought|bring|sent) out|posted|(?:has|have|is|are|got) out(?! of)",
        rf"(?:the |any |all )?{_DRAFTS} (?:(?:are )?excluded|aside|not included|left out|apart)",
        rf"(?:(?<=, )no|leaving out|leave out|ignoring|ignore|skip|skipping|not counting|not including) (?:the |any )?{_DRAFTS}",
    ),
    draft=phrase(
        rf"{NOT}(?: (?:yet|been|already|actually))* (?:published|live|online|public)(?: yet)?",
        r"(?:(?:still|only|currently) )*(?:in|as|a) (?:the )?drafts?(?: (?:state|status|form|mode))?",
        r"(?:still )?(?:unpublished|drafts?)(?: (?:state|status))?",
        r"(?:still |waiting |yet )?to be published",
        "awaiting publication",
        "unfinished",
    ),
)
"""English names for items."""
