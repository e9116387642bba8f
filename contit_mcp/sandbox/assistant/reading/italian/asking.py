"""What Italian asks about items: how many, in which order, which of their properties."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.italian.dates import NUMBERS
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import AskWords

_NUMBER: Final = r"\d{1,3}|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|dodici|quindici|venti"
_N: Final = rf"(?:(?P<n>{_NUMBER}) )?"
_N2: Final = rf"(?: (?P<n>{_NUMBER}))?"
_THE: Final = r"(?:(?:gli|le|i|il|la|lo|l'|dei|delle|degli|un) ?)?"
_KIND: Final = r"(?:(?:articol[oi]|post|notizi[ae]|prodott[oi]|pagin[ae]|contenut[oi]|bozz[ae]|tend[ae]|zain[oi]|giacc(?:a|he)|scarp[ae]|scarpon[ei]|accessori[o]?|sacc(?:o|hi) a pelo) )?"
_OF: Final = r"(?:di|del|dello|della|dell'|dei|degli|delle)(?! tutt[ie])"
_EACH: Final = r"(?:per(?: ogni| ciascun[oa]?)?|(?:in |a |di )?(?:ogni|ciascun[oa]?)|suddivis[oiae] per|raggruppat[oiae] per|divis[oiae] per|ripartit[oiae] per|di ciascun[oa]?)"
_SORTED: Final = r"(?:(?:ordinat[oiae]|ordinal[ie]|ordina|in ordine|mettil[ie] in ordine|elencat[oiae]) ?(?:per |di )?)"
_CHANGED: Final = "(?:aggiornat[oiae]|modificat[oiae]|cambiat[oiae]|rivist[oiae])"

ITALIAN_ASKS: Final = AskWords(
    orders=(
        (
            phrase(
                rf"{_THE}{_N}(?:piu recentemente|(?:piu )?di recente|recentemente|per ultim[oiae]|ultim[oiae]){_N2} (?:ad essere (?:stat[oiae] )?)?{_CHANGED}",
                rf"{_THE}{_N}{_CHANGED} (?:piu )?(?:di recente|recentemente|per ultim[oiae])",
                rf"{_CHANGED} piu di recente",
            ),
            "updated",
            True,
        ),
        (phrase(rf"{_THE}{_N}{_CHANGED} meno (?:di recente|recentemente)"), "updated", False),
        (
            phrase(
                rf"{_THE}{_N}(?:ultim[oiae]|piu recent[ei]){_N2} (?:creat[oiae]|aggiunt[oiae])",
                rf"{_THE}{_N}(?:creat[oiae]|aggiunt[oiae]) (?:piu )?(?:di recente|recentemente|per ultim[oiae])",
            ),
            "created",
            True,
        ),
        (
            phrase(
                rf"{_THE}{_N}meno recent[ei]",
                rf"{_THE}{_N}piu (?:vecch[ioaeh]+|antic[oahei]+|datat[oiae])",
                rf"{_THE}prim[oiae] in assoluto",
                rf"{_THE}{_N}prim[oiae]{_N2}(?= (?:articol|prodott|pagin|post|contenut|notizi|tend|zain|giacc|·))",
            ),
            "date",
            False,
        ),
        (
            phrase(
                "(?:le |delle )?(?:ultime )?novita|(?:c'è )?di nuovo",
                rf"{_THE}{_N}(?:piu recent[ei]|piu nuov[oiae]|recenti)",
                rf"{_THE}{_N}ultim[oiae]{_N2}",
                "(?:piu )?(?:di recente|recentemente)",
            ),
            "date",
            True,
        ),
        (
            phrase(
                rf"{_THE}{_N}(?:piu economic[oiah]+e?|meno car[oiae]|meno costos[oiae]|piu convenient[ei])",
                rf"cost[ai](?:no)? (?:di )?meno(?! {_OF})",
                "(?:il |al )?prezzo (?:piu basso|minore|minimo|inferiore)",
                "(?:il |al )?minor prezzo",
            ),
            "price",
            False,
        ),
        (
            phrase(
                rf"{_THE}{_N}(?:piu car[oiae]|piu costos[oiae]|meno economic[oiah]+e?)",
                rf"cost[ai](?:no)? (?:di )?piu(?! {_OF})",
                "(?:il |al )?prezzo (?:piu alto|maggiore|massimo|piu elevato)",
                "(?:il |al )?maggior prezzo",
            ),
            "price",
            True,
        ),
    ),
    sorted_by=(
        (
            phrase(
                rf"{_SORTED}(?:per )?(?:titol[oi]|nom[ei])",
                "per (?:titolo|nome)",
                rf"{_SORTED}?(?:in )?ordine alfabetico|alfabeticamente|alfabetico",
                "dalla a alla z",
            ),
            "title",
            False,
        ),
        (
            phrase(
                rf"{_SORTED}?(?:per )?prezzo (?:decrescente|discendente)",
                rf"{_SORTED}?da(?:l|lla|i|gli|lle) piu (?:car|costos)[oaie](?: a(?:l|lla|i|gli|lle) (?:piu economic[oaih]+e?|meno (?:car|costos)[oaie]))?",
                "prima (?:i|le|gli|il|la) piu (?:car|costos)[oaie]",
            ),
            "price",
            True,
        ),
        (
            phrase(
                rf"{_SORTED}(?:per )?prezzo(?: crescente)?",
                "(?:per )?prezzo crescente",
                "per prezzo",
                rf"{_SORTED}?da(?:l|lla|i|gli|lle) (?:piu economic[oaih]+e?|meno car[oaie])(?: a(?:l|lla|i|gli|lle) piu car[oaie])?",
                "prima (?:i|le|gli|il|la) (?:piu economic[oaih]+e?|meno car[oaie])",
            ),
            "price",
            False,
        ),
        (phrase(rf"{_SORTED}(?:per )?(?:data di )?(?:ultim[oa] )?(?:aggiornamento|modifica)"), "updated", True),
        (
            phrase(
                rf"{_SORTED}?dal(?:la)? (?:piu vecch[ioa]+|meno recente) al(?:la)? piu (?:recente|nuov[oa])",
                rf"{_SORTED}?(?:in )?ordine cronologico",
                "prima (?:i|le|gli) (?:piu vecch[iae]+|meno recenti)",
                rf"{_SORTED}?dal(?:la)? (?:piu vecch[ioa]+|meno recente)",
            ),
            "date",
            False,
        ),
        (
            phrase(
                rf"{_SORTED}?dal(?:la)? piu (?:recente|nuov[oa])(?: al(?:la)? (?:piu vecch[ioa]+|meno recente))?",
                "prima (?:i|le|gli) piu recenti",
                rf"{_SORTED}(?:per )?data(?: di pubblicazione)?",
                "per data(?: di pubblicazione)?",
            ),
            "date",
            True,
        ),
    ),
    one_of_many=phrase("quale? (?:è|era|sarebbe)", "(?:il|la) (?:piu|meno)"),
    of_the_one=phrase(
        r"^(?:è|costa|ha|sono|hanno|costano) (?:stat[oaie] )?(?:pubblicat[oaie] |in bozza |una bozza |disponibil[ei] )?(?:il|la|lo|l(?=')|i|gli|le)",
        r"^(?:il |la |lo |l'|i |gli |le )[^?]* (?:è|sono|costa|costano|ha|hanno) [^?]+(?=\?)",
    ),
    number_of_items=phrase(rf"(?:i |gli |le |solo |soltanto )?(?P<n>{_NUMBER})(?=[ ·]*·)"),
    numbers=NUMBERS,
    count=phrase(
        "quant[ie](?: ce ne sono| ne (?:abbiamo|sono|ha|hanno))?",
        "(?:il |qual è il )?(?:numero|conteggio) (?:totale )?(?:di|dei|degli|delle)",
        "conta(?:mi|re|li|le)?",
    ),
    average=phrase(
        "(?:il |un )?(?:prezzo|costo) medio",
        "prezzi medi",
        "media (?:dei|del) prezz[oi]",
        "fascia di prezzo",
        "quanto cost[ai]n?o? in media",
    ),
    most=phrase(
        r"(?:il |la |i |gli |le )?(?:maggior numero(?: di)?|piu(?: (?:usat[oiae]|utilizzat[oiae]|comun[ei]|frequent[ei]|attiv[oiae]|produttiv[oiae]|prolific[oiahe]+|numeros[oiae]|spesso|di tutti))?|maggiormente(?: usat[oiae]| utilizzat[oiae])?)"
    ),
    fewest=phrase(
        r"(?:il |la |i |gli |le )?(?:minor numero(?: di)?|meno(?: (?:usat[oiae]|utilizzat[oiae]|comun[ei]|frequent[ei]|attiv[oiae]|produttiv[oiae]|spesso|di tutti))?)"
    ),
    most_of_one=phrase(
        "(?:piu|meno|maggior numero di|minor numero di) (?:tag|argomenti|lingue|autori|categorie|traduzioni)"
    ),
    groups=(
        ("author", phrase(rf"{_EACH} (?:autor[ei]|autrice|person[ae])")),
        ("type", phrase(rf"{_EACH} tip[oi](?: di contenuto)?", rf"{_EACH} tipologia")),
        ("month", phrase(rf"{_EACH} mes[ei]", "mensil[ei]|mensilmente|al mese", "(?:in )?(?:quale|che|quali) mes[ei]")),
        ("year", phrase(rf"{_EACH} ann[oi]", "all'anno", "(?:in )?(?:quale|che) anno")),
        ("tag", phrase(rf"{_EACH} (?:tag|tema|temi|argoment[oi]|etichett[ae])")),
        ("locale", phrase(rf"{_EACH} lingu[ae]")),
        ("state", phrase(rf"{_EACH} stato(?: di pubblicazione)?")),
        ("category", phrase(rf"{_EACH} categori[ae](?: di prodotto)?")),
    ),
    attributes=(
        (
            "author",
            phrase(
                "(?:da |di )?chi(?: (?:ha|hanno|è|e|sono|li|lo|la))*(?: stat[oiae])?(?: (?:l'autore|l'autrice|gli autori))?(?: (?:di|del|della|dell'))?(?: (?:scritt[oiae]|scrive|scrivono|scrisse|firmat[oiae]|creat[oiae]))?",
                "(?:gli |l'|degli |dell')?(?:autor[ei]|autric[ei])(?: (?:di|del|della|dell'))?",
            ),
        ),
        (
            "date",
            phrase(
                "quando",
                "(?:in |la |a )?(?:che|quale|quali) (?:data|giorno|date)",
                "(?:la |le )?dat[ae](?: di pubblicazione)?",
            ),
        ),
        ("price", phrase("quanto (?:cost|vien|è il prezzo)\\w*", "(?:il |i )?prezz[oi]", "cost[ao]|costi|costano")),
        ("tags", phrase("(?:i |il )?(?:tag|tags)", "(?:gli |l')?(?:argomenti|etichette)", "taggat[oiae]")),
        (
            "locales",
            phrase(
                "(?:in |le |la )?(?:(?:che|quale|quali|quante) )?lingu[ae]", "(?:le )?traduzion[ei]", "tradott[oiae]"
            ),
        ),
        (
            "state",
            phrase("(?:lo |in che |in quale |quale |che |nello )stato", "stato di pubblicazione", r"stato(?=[ ?.!]*$)"),
        ),
        ("category", phrase("(?:la |le )?categori[ae](?: di prodott[oi])?")),
        ("type", phrase("(?:il |i |di che )?tip[oi](?: di contenut[oi])?", "tipologi[ae]")),
        (
            "body",
            phrase(
                "(?:il )?(?:testo|testi|contenuto completo|riassunto|descrizione)",
                "riassumi(?:mi)?",
                "leggi(?:mi)?",
                "di (?:che )?cosa parla",
                "cosa dice",
            ),
        ),
        ("id", phrase("(?:l'|gli )?id|guid|identificativ[oi]")),
    ),
    when=phrase("quando", "(?:in |la |a )?(?:che|quale|quali) (?:data|giorno|date)", "(?:la )?data"),
    details=phrase(
        "(?:i |piu |maggiori |altri )?(?:dettagli|informazioni|info)(?: (?:di|su|sul|sulla|sull'|sui|sugli|sulle|del|della|dell'|dei))?",
        "(?:dimmi|parlami|raccontami)(?: (?:di piu|qualcosa|tutto))?(?: (?:di|del|della|dell'|su|sul|sulla|sull'))?",
        "descrivi(?:mi)?",
        "apri(?:mi)?",
        "mostra(?:mi|re|temi|teci|ci|celo|cela|rmi|rci)?|(?:fammi|facci|fatemi|fateci|(?:mi|ci) (?:fai|fa|faccia|fate)) vedere|visualizza(?:re)?|vorrei vedere|voglio vedere|leggi(?:mi)?|riassumi(?:mi)?",
        "(?:mi|ci) (?:mostri|mostra|mostrate|apri|apra|descrivi|leggi|riassumi|parli(?= d))(?: (?:di|del|della|dell'))?",
    ),
)
"""What Italian asks."""
