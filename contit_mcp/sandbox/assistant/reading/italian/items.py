"""How Italian names items by what they have: type, state, author, tag, language."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.english.items import AUTHORS
from contit_mcp.sandbox.assistant.reading.names import Names
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import ItemWords, list_phrases

NOT: Final = r"(?:ma )?(?:non|mai|ne|senza essere)"
"""Negations that stand before what they negate."""
EXCEPT: Final = (
    r"(?:ma senza|tranne|eccetto|escluso|esclus[aie]|senza|ad eccezione d[iel]+|a parte|salvo|ma non|fuorche)"
)
ONES: Final = r"(?: (?:quell[ioae]|gli|le|il|lo|la|i|un|una|articol[oi]|prodott[oi]|pagin[ae]|contenut[oi]|alcun[oa]?|nessun[oa]?))*"

_INCLUDING: Final = r"(?:compres[eaio]|inclus[eaio]|includendo|comprendendo|contando|considerando|conteggiando|insieme (?:a|al)le|assieme alle|oltre alle)"
_DRAFTS: Final = r"(?:(?:le |quelle |quelli |gli |i )?(?:ancora )?(?:in )?bozz[ae]|(?:quell[ie] |gli |i |le )?non (?:ancora )?pubblicat[ie])"
_WHATEVER: Final = (
    r"(?:qualsiasi|qualunque|indipendentemente|a prescindere|senza (?:distinzione|distinzioni)|non importa)"
)
_JOIN: Final = (
    r"(?: e (?:anche )?| ed | ne | o | oppure | o anche |, ?(?:e |o )?| ?/ ?| sia | che )"
    r"(?:(?:sia |anche )?(?:in|di|da|del|il|la|l'|lo|tag|con|su|sul|sulla|al|alla|dell'|della|dello) ?)*"
)
_VERSION: Final = r"(?:traduzion[ei]|version[ei])"
_LANGUAGE: Final = r"(?:lingua )?"

TAGS: Final = Names.of(
    {
        "bestseller": r"best[ -]?sellers?|piu vendut[oiae]",
        "camping": "campeggi[o]?|camping",
        "climbing": "arrampicat[ae]|climbing",
        "company": r"aziend[ae]|aziendal[ei]|company",
        "cycling": "ciclism[oi]|ciclistic[oiah]+e?|cycling",
        "events": "event[oi]|events",
        "family": "famigli[ae]|family",
        "food": "cucina|cibo|food",
        "hiking": "escursionism[oi]|escursionistic[oiah]+e?|escursion[ei]|hiking",
        "legal": "(?:note )?legal[ei]|legal",
        "safety": "sicurezza|safety",
        "sailing": "vela|sailing",
        "skiing": "sci|sciistic[oiah]+e?|skiing",
        "support": "assistenza|support",
        "sustainability": "sostenibilita|sostenibil[ei]|sustainability",
        "technology": "tecnologi[ae]|tecnologic[oiah]+e?|technology",
        "travel": "viaggi[o]?|travel",
    }
)
_LOCALES: Final = Names.of({"en": "ingles[ei]", "it": "italian[oaie]", "de": "tedesc[oaih]+e?"})

ITALIAN_ITEMS: Final = ItemWords(
    either=phrase("o", "oppure", "/"),
    both=phrase("sia", "entramb[ie]"),
    authors=list_phrases(
        AUTHORS,
        _JOIN,
        have=(
            r"(?:sia )?(?:(?:(?:scritt[oiae]|firmat[oiae]|creat[oiae]|redatt[oiae]|realizzat[oiae]) )?(?:da|di|a cura di|a firma di|ha|hanno) "
            r"|d')?(?:sia )?(?:(?:hanno |ha |con )?come )?(?:l')?(?:autor[ei] |autrice |autrici )?(?:e |è |= ?|: ?)?LIST",
        ),
        have_not=(
            rf"(?:{NOT}|{EXCEPT})(?: (?:e|è|sono|sia|siano))?{ONES}(?: stat[oiae])?(?: scritt[oiae]| firmat[oiae]| creat[oiae])?"
            rf"(?: da| di)? ?{ONES} ?LIST",
            r"(?:scritt[oiae] )?(?:da )?(?:altri|tutti|chiunque|qualcuno|qualcun altro|autori divers[i]|autori) (?:che non (?:sia|siano|e|è) |tranne |divers[oi] da |eccetto |a parte )LIST",
            r"LIST non (?:ha|hanno) scritto",
        ),
    ),
    tags=list_phrases(
        TAGS,
        _JOIN,
        have=(
            r"(?:(?:taggat[oiae]|etichettat[oiae]|contrassegnat[oiae]|marcat[oiae])(?: (?:come|con|sotto|in))?(?: (?:il|i|l'|la))?(?: ?tag)? "
            r"|(?:con|ha|hanno|aventi|avente|sotto|nella|nel|per) (?:sia )?(?:(?:il|i|l'|la|un|le|gli) ?)?(?:tag|etichett[ae]|categori[ae]|tem[ai]|argoment[oi]) (?:di )?"
            r"|(?:dal |del |il |i )?(?:tag|tema):? |#)?"
            r"[\"']?(?:sia )?(?:l'|la |lo |il |le |gli |i )?LIST[\"']?",
        ),
        have_not=(
            rf"(?:{NOT}|{EXCEPT})(?: (?:e|è|sono|parlino|parli|abbia|abbiano|ha|hanno|sia|siano))?{ONES}"
            r"(?: (?:taggat[oiae]|etichettat[oiae]|con|su|sul|sulla|sullo|sugli|sulle|sull'|di|del|che parlan?o?|parlan?o?|riguardan?o?|legat[oiae] a|in|come))*"
            rf"{ONES}(?: (?:il |i )?tag)? ?[\"']?(?:l'|la |lo |il )?LIST[\"']?",
        ),
    ),
    locales=list_phrases(
        _LOCALES,
        _JOIN,
        have=(
            r"(?:anche |gia )?(?:(?:disponibil[ei]|tradott[oiae]|scritt[oiae]|esist(?:e|ono)|esistent[ei]|presenti?|consultabil[ei]) )?(?:anche )?"
            rf"(?:sia )?in {_LANGUAGE}LIST",
            rf"(?:con|ha|hanno|aventi|avente) (?:anche )?(?:(?:una|la|le|l') ?)?{_VERSION} (?:in )?{_LANGUAGE}LIST",
            rf"(?:(?:una|la|le|nella|della) )?{_VERSION} (?:in )?{_LANGUAGE}LIST",
            r"(?:in|di) lingua LIST",
            r"(?:titolo|nome|testo|descrizione) (?:in )?LIST",
            r"(?<=articoli )LIST|(?<=articolo )LIST|(?<=pagine )LIST|(?<=pagina )LIST|(?<=prodotti )LIST|(?<=contenuti )LIST|(?<=bozze )LIST",
        ),
        have_not=(
            rf"{NOT}(?: (?:ancora|sono|è|e|stat[oiae]|esist(?:e|ono)|disponibil[ei]|tradott[oiae]|scritt[oiae]|presenti?|anche))* (?:in|nemmeno in) {_LANGUAGE}LIST",
            rf"{EXCEPT}(?: (?:che )?in)?(?: il| la lingua| l')? ?{_LANGUAGE}LIST",
            rf"(?:non (?:sono|è|esistono|esiste) )?(?:(?:disponibil[ei]|tradott[oiae]) )?ne in {_LANGUAGE}LIST",
            rf"(?:{NOT}(?: ancora)? (?:hanno|ha|abbiano|abbia|avent[ei])(?: ancora)?|senza|priv[oiae] (?:di|della)|manca(?:no)?|a cui manca|cui manca|mancante|in attesa (?:di|della)|manca ancora)"
            rf"(?: (?:ancora|la|una|alcuna|le|di|della|nessuna))*(?: {_VERSION} (?:in )?| quella (?:in )?| ){_LANGUAGE}LIST",
            rf"(?:{_VERSION} (?:in )?)LIST (?:mancante|manca)",
        ),
    ),
    only_locale=phrase(
        rf"(?:(?:esist(?:e|ono)|disponibil[ei]|sono|è|pubblicat[oiae]|scritt[oiae]) )?(?:solo|soltanto|solamente|unicamente|esclusivamente)"
        rf" (?:disponibil[ei] |scritt[oiae] )?in {_LANGUAGE}{_LOCALES.any}",
        rf"in {_LANGUAGE}{_LOCALES.any} (?:e basta|soltanto)",
    ),
    every_locale=phrase(
        r"(?:(?:disponibil[ei]|tradott[oiae]|esist(?:e|ono)) )?in (?:tutte(?: e tre)?|tutt'e tre|ogni|tre)(?: le)?(?: tre)? (?:lingu[ae]|locale)",
    ),
    types=Names.of(
        {
            "Article": "articol[oi]|post|notizi[ae]|news",
            "Product": "prodott[oi]",
            "Page": "pagin[ae]",
        }
    ),
    categories=Names.of(
        {
            "sleeping-bags": "sacc(?:o|hi) a pelo",
            "tents": "tend[ae]",
            "backpacks": "zain(?:o|i)|zainett[oi]",
            "jackets": "giacc(?:a|he)|giubbott[oi]",
            "boots": "scarp[ae]|scarpon[ei]|scarponcin[oi]|calzatur[ae]",
            "accessories": "accessori[o]?",
        }
    ),
    type_join=r"(?: e | ed | o | oppure |, ?(?:e |o )?| ?/ ?| sia | che )(?:(?:gli|le|i|il|la|anche|di|delle|dei|degli) )*",
    except_types=rf"(?:{EXCEPT}|oltre (?:agli|ai|alle)|(?:che )?non (?:sono|siano|è))"
    r"(?: (?:gli|le|i|il|la|lo|l'|tutti|tutte))* ?",
    available=phrase("disponibil[ei]|tradott[oiae]|traduzion[ei]|esist(?:e|ono)|c'è|ci sono|ha|hanno", "^(?:è|sono)"),
    all_are=phrase(
        r"^tutt[ie] (?:i|gli|le) \w+ sono (?:gia |ancora )?(?:pubblicat[ie]|online|in bozza|bozze)[ ?!.]*$",
        r"^sono tutt[ie] (?:gia |ancora )?(?:pubblicat[ie]|online|in bozza)(?: (?:i|gli|le) \w+)?[ ?!.]*$",
    ),
    items=phrase(
        "contenut[oi]",
        "element[oi]",
        "voc[ei]",
        "material[ei]",
        "qualcosa",
        "pezz[oi]",
        "tutto",
        "cos[ae](?! (?:c'|ha|hanno|sa|puo|posso|sono|è|ce|sai|puoi|fai|fa))",
    ),
    several=phrase(
        "articoli|notizie|prodotti|pagine|contenuti|elementi|bozze|tende|zaini|zainetti|giacche|giubbotti|scarpe|scarponi",
        "scarponcini|accessori|sacchi a pelo|voci|novita|di nuovo|(?<!piu )(?:di recente|recentemente)",
        "(?:i|gli|le|quali) (?:sono (?:i|gli|le) )?(?:piu|meno|ultim[ie])",
    ),
    any_state=phrase(
        r"(?:sia )?(?:(?:le |in )?bozz[ae]|(?:gli |i |le |quell[ie] )?pubblicat[oiae]) (?:e|che|o|sia) (?:anche )?(?:(?:le |in )?bozz[ae]|(?:quell[ie] )?(?:non )?pubblicat[oiae])",
        r"(?:che siano |siano )?pubblicat[oiae] (?:o|e|oppure) (?:no|meno|non)",
        r"non (?:solo|soltanto) (?:quell[ie] |gli |le |i )?(?:gia )?pubblicat[ie]",
        rf"{_INCLUDING}(?: (?:anche|tutte|pure))* {_DRAFTS}",
        rf"(?<!ci sono )(?<!abbiamo )(?<!esistono )(?<!avete )(?:anche|pure|perfino|persino) {_DRAFTS}",
        rf"(?:(?:e|con) )?{_DRAFTS} (?:anche )?(?:compres[aie]|inclus[aie]|incluso|compreso|conteggiat[ae])",
        rf"{_WHATEVER} (?:(?:sia|siano|il loro|lo|dallo|dal loro|di|in cui sono|loro) ?)*stato(?: (?:sia|siano|di pubblicazione))*",
        r"(?:in|di) (?:qualsiasi|qualunque|ogni) stato",
    ),
    any_type=phrase(
        rf"{_WHATEVER} (?:(?:sia|siano|il|la|dal|dalla|di|loro) )*(?:tipo|tipologia)(?: di contenuto)?(?: (?:sia|siano))*",
        r"di (?:qualsiasi|qualunque|tutti i) (?:tipo|tipologia|tipi|genere)(?: di contenuto)?",
        r"(?:qualsiasi|qualunque) (?:tipo|tipologia|genere)(?: di contenut[oi])?(?: (?:sia|siano))*",
    ),
    published=phrase(
        rf"(?:{NOT}|tranne|eccetto|esclus[oaie]|a parte|salvo|ma non)(?: (?:sono|è|più|piu|in|le|la|una|delle))* bozz[ae]",
        r"(?:gia |attualmente )?(?:stat[oiae] )?(?:pubblicat[oiae]|online|on line)",
        "pubblico|pubblichiamo|pubblica",
        r"uscit[oiae]|apparsi|apparse|comparsi|comparse",
        rf"{_DRAFTS} (?:esclus[aei]|a parte|non (?:comprese|incluse|contate))",
        rf"(?:(?<=, )niente|ignorando|ignora|tralasciando|lasciando (?:da parte|stare)|senza (?:contare|considerare|includere)|non contando) {_DRAFTS}",
    ),
    draft=phrase(
        r"(?:ancora )?non (?:ancora )?(?:(?:è|e|sono|era|erano|siano|sia|abbiamo) )?(?:ancora )?(?:(?:stat[oiae]) )?(?:ancora )?(?:pubblicat[oiae]|online|on line)(?: ancora)?",
        r"(?:(?:ancora|solo|tuttora) )*(?:in|come|allo stato di|in stato di) bozz[ae]",
        r"(?:ancora )?bozz[ae]",
        "da pubblicare",
        "inedit[oiae]",
        "in attesa di pubblicazione",
    ),
)
"""Italian names for items."""
