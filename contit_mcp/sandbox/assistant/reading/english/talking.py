"""How a conversation goes on in English."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.names import Names
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import TalkWords

_ORDINALS: Final = Names.of(
    {
        "1": "first|1st",
        "2": "second|2nd",
        "3": "third|3rd",
        "4": "fourth|4th",
        "5": "fifth|5th",
        "6": "sixth|6th",
        "7": "seventh|7th",
        "8": "eighth|8th",
        "9": "ninth|9th",
        "10": "tenth|10th",
        "11": "eleventh|11th",
        "12": "twelfth|12th",
        "0": "last (?:one|entry|result|of (?:them|these|those)|(?:in|on|of) the list)",
    }
)
_ENTRY: Final = r"(?: (?:ones?|articles?|posts?|products?|pages?|entry|entries|results?|drafts?|of (?:them|these|those)|(?:in|on|from) the list|items?))*"
_NUMBER: Final = r"\d{1,2}|two|three|four|five|six|seven|eight|nine|ten"
_SO: Final = r"(?:(?:ok|okay|now|and|please|but|well|so|then),? )*"

ENGLISH_TALK: Final = TalkWords(
    greeting=phrase("(?:hello|hi|hey|good (?:morning|afternoon|evening))(?: there| contit)?"),
    thanks=phrase("(?:ok,? |great,? )?(?:thanks|thank you)(?: (?:so|very) much| a lot)?"),
    help=phrase(
        "(?:please )?help(?: me)?",
        "what can (?:you|i) (?:do|ask|help(?: me)? with)(?: (?:you|for me|here))?",
        "what (?:kind|sort)s? of questions can i ask(?: you)?",
        "how does this work",
        "(?:who|what) are you",
    ),
    yes=phrase("(?:yes|yeah|yep|sure|ok|okay)(?:,? please|,? go ahead)?"),
    no=phrase("(?:no|nope)(?:,? thanks|,? thank you)?", "that'?s all", "that is all"),
    more=phrase(
        rf"{_SO}(?:(?:show|list|give|see|display)(?: me)? )?"
        r"(?:(?:some |the )?(?:more|next|rest|others?|remaining)(?: (?:ones|page|results|items|\d+|ten|of (?:them|the list)|please))*)",
        rf"{_SO}(?:continue|go on|what else|keep going)",
    ),
    all_of_them=phrase(
        rf"{_SO}(?:(?:show|list|give|see|display)(?: me)? )?"
        "(?:them all|all of (?:them|these|those)|all|the (?:full|whole|complete|entire) list|everything|all the results)"
    ),
    command=phrase(
        r"^(?:(?:please|now|ok|okay|and|then|can you|could you|would you|will you|i want you to),? )*"
        "(?:publish|unpublish|delete|remove|create|update|edit|change|translate|write|add|rename|archive|schedule|make|set|move)"
    ),
    noise=phrase(
        "please",
        "(?:if|as) (?:possible|you (?:can|could|please|don't mind|would)|i may(?: ask)?)|kindly|be so kind(?: as to)?",
        "(?:would|do) you mind(?= \\w+ing )|(?:i|we)(?: was|'m| am| were)? (?:just )?(?:wonder(?:ing)?)(?: if| whether)?",
        "(?:is it|would it be) possible (?:to|for you to)|(?:are|would) you (?:be )?able to",
        "(?:could|can|would|may|might|will(?= (?:you|i))) (?:you|i|we)(?: please| kindly| just| also| quickly)?",
        "(?:i|we)(?:'d| would)(?: really| just)? (?:like|love|want|be interested)(?: to| in)?",
        "(?:i|we)(?:'d| would|'ll| will)?(?: really| just)? (?:want|need|have)(?: you)? to",
        "(?:i|we)(?:'m| am|'re| are)? (?:want|need|looking for|after|interested in)(?: to)?",
        "(?:many )?(?:thanks|thank you)(?: (?:very much|a lot|in advance))?(?=[ .!]*$)",
        "(?:in|on|of|from|for) (?:our|the|this|my) (?:entire |whole )?"
        "(?:workspace|cms|web ?site|site|blog|catalog(?:ue)?|system|contit|database)",
        "in contit",
        "do you know",
        "so far|right now|at the moment|currently|in total|altogether|overall",
        "a list of",
        "(?:among|amongst|out of|of|from)(?: all)?(?: of)?(?: the| our)?"
        "(?= (?:published |draft |sailing )?(?:articles|products|pages|items|drafts|posts|tents|jackets|backpacks|boots|accessories|sleeping bags),)",
        "(?:the )?different(?= (?:authors?|writers?|tags?|types?|languages?|categor))",
        "every(?= (?:single )?(?:articles?|products?|pages?|items?|drafts?|published|tents?))",
        "the list of",
    ),
    harmless=phrase(
        r"(?:only|just)(?= (?:published|drafts?|articles?|products?|pages?|items?|the|those|by|from|show|list))",
        r"(?<=articles )only|(?<=products )only|(?<=pages )only|(?<=drafts )only|(?<=items )only",
        r"but(?= (?:do|does|are|is|was|were|still|have|has|that|which|also)(?! not|n't))",
        r"(?:too|as well|also|together|again|instead|then|though)(?=[ ?.!·]*$)",
        r"(?<=version )one|(?<=no german )one|(?<=no italian )one|(?<=no english )one|(?<=a german )one|(?<=an italian )one",
    ),
    fillers=frozenset(
        "a an the all any some of in on at to for from by with and as is are was were be been being do does did have "
        "has had having there their its i me my we us our you your can could would find "
        "see look show list give get tell display print fetch know which what that who whom name names exist exists "
        "existing now still yet ever let s d ll ve re m say says also available ok okay hi hello hey "
        "contit write wrote written writes authored these those this about it they them ones belong belongs "
        "carry carries carrying showing listing telling giving finding marked sold sell offer offers retrieve anything something everything content search sort "
        "sorted order ordered then title titles titled named called both across things thing stuff use uses used breakdown overview split distribution".split()
    ),
    ordinals=_ORDINALS,
    pick=phrase(
        rf"(?:the )?first (?P<upto>{_NUMBER})(?! (?:of|week|month|day|year)){_ENTRY}",
        rf"(?:the )?(?P<ordinals>{_ORDINALS.any}(?!\w)(?:(?:,? and |, ?)(?:the )?{_ORDINALS.any}(?!\w))*){_ENTRY}",
        r"(?:the )?(?:number|numbers|no\.?|item|result|entry|#) ?(?P<numbers>\d{1,2}(?:(?:,? and |, ?)(?:number )?\d{1,2})*)",
        rf"(?<![^ ]){_SO}(?:(?:show|open)(?: me)? )?#?(?P<numbers>\d{{1,2}})(?=[ ?.!]*$)",
    ),
    focus=phrase(
        "it|its|this one|that one",
        "(?:this|that|the same) (?:article|post|product|page|item|one|draft)",
        r"(?:this|that)(?=[ ?!.·]*$)",
    ),
    the_one=phrase("the (?:article|post|story|piece|page|product|item|draft)"),
    them=phrase(
        "(?:(?:of|among|from|in|between|for|about) (?:all )?(?:them|these|those|that list|the list|the above)"
        "|which (?:ones?|of them)|them|those|these|they|ones)(?: (?:articles|products|pages|items|ones|are|is))?"
    ),
    elliptic=phrase(
        r"^(?:(?:ok|okay|now|and|but|so|then),? )*(?:how many|which)(?: ones?)?"
        r"(?= (?:are|were|is|was|have|has|had|do not|don't|does|did not|cost|costs|mention|exist|came|went|can|in|by|about|from|under|over|tagged|written|published)(?!\w)|[ ?]*$)"
    ),
    what_about=phrase(
        rf"(?:^{_SO})?(?<![^ ])(?:what|how) about",
        "^(?:ok(?:ay)?,? )?(?:and|but)",
        "^(?:the )?same (?:for|but|in|by|question for)",
    ),
    only=phrase("^(?:(?:ok|okay|now|and|please|but|show|list|give|me|count),? )*(?:only|just)"),
    titled_page=r"(?:the )?TITLE page",
)
"""English conversation."""
