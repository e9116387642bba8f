"""How Italian narrows items down by their dates, prices and texts."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.italian.items import NOT
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import FilterWords

_MONEY: Final = r"(?:€ ?|euro )?(?P<{}>\d+(?:[.,]\d{{1,2}})?)(?: ?€| ?eur[o]?(?!\w))?"
_LOW: Final = _MONEY.format("low")
_HIGH: Final = _MONEY.format("high")
_EXACT: Final = _MONEY.format("exact")
_IS: Final = (
    r"(?:(?:che )?(?:costan?o?|costino|costi|vengano|vengono|costa|con (?:un )?prezzo|il cui prezzo è|(?:dal|dai|a un|ad un) (?:costo|prezzo)|(?:di )?prezzo|a|è|sono)"
    r" )?(?:compres[oiae] )?"
)
_CHANGED: Final = "(?:aggiornat[oiae]|modificat[oiae]|cambiat[oiae]|rivist[oiae]|ritoccat[oiae])"
_WORDS: Final = r"(?P<words>[^·?!.;:,]+"
_THE: Final = r"(?:l'|il |lo |la |i |gli |le )?"
_OF: Final = r"(?:dell'|dello |della |degli |delle |del |dei |di |d')"
_TO: Final = r"(?:all'|allo |alla |agli |alle |al |ai |a )"
_ON: Final = r"(?:sull'|sullo |sulla |sugli |sulle |sul |sui |su )"
_TOPIC: Final = r"(?:(?:parol[ae]|termin[ei]|tema|argomento) (?:di )?)?(?P<topic>[^·?!.;:]+)"

ITALIAN_FILTERS: Final = FilterWords(
    updated=phrase(
        rf"(?:(?:l'ultima volta|stat[oiae]|per ultim[oiae]) )*{_CHANGED}(?: (?:l'ultima volta|per l'ultima volta))?",
        "ultim[oa] (?:aggiornamento|modifica)",
        "data (?:di|dell'ultima|dell'ultimo) (?:aggiornamento|modifica)",
    ),
    not_updated=phrase(rf"{NOT}(?: (?:sono|è|e|piu|più|vengono|viene))*(?: stat[oiae])?(?: piu| più)? {_CHANGED}"),
    created=phrase("creat[oiae]", "data di creazione", "aggiunt[oiae]", "iniziat[oiae]"),
    price=phrase("prezz[oi]", "cost[aoi]|costano|costi", "car[oiae]|costos[oiae]", "euro|eur", "economic[oiah]+e?"),
    bounds=(
        (
            phrase(rf"{_IS}(?:tra|fra) (?:i )?{_LOW} e (?:i )?{_HIGH}", rf"{_IS}(?:da|dai) {_LOW} (?:a|ai) {_HIGH}"),
            True,
        ),
        (phrase(rf"(?:costan?o?|costino|costi|prezzo di)(?: esattamente)? {_EXACT}"), True),
        (
            phrase(
                rf"{_IS}(?:sotto|sotto i|meno di|inferior[ei] a|a meno di|al di sotto d[ei]+|piu economic[oiah]+e? di|meno car[oiae] di) (?:gli |i |ai )?{_HIGH}"
            ),
            False,
        ),
        (phrase(rf"{_IS}{NOT} (?:costano |costa |costino |costi )?(?:piu di|oltre|sopra i) {_HIGH}"), True),
        (phrase(rf"{_IS}(?:fino a|al massimo|al piu|massimo|entro|non oltre) (?:gli |i |ai )?{_HIGH}"), True),
        (
            phrase(
                rf"{_IS}(?:sopra|sopra i|oltre|piu di|superior[ei] a|al di sopra d[ei]+|piu car[oiae] di|piu costos[oiae] di) (?:gli |i |ai )?{_LOW}"
            ),
            False,
        ),
        (phrase(rf"{_IS}(?:almeno|a partire da|da almeno|come minimo|minimo) (?:gli |i |ai )?{_LOW}"), True),
    ),
    about=phrase(
        rf"(?:che )?(?:parl|tratt|discut|raccont|si occup)(?:a|ano|i|ino|ono|e) {_OF}{_TOPIC}",
        rf"(?:che )?(?:riguard|menzion|cit|nomin|tratt|affront|contien|conteng)(?:a|ano|i|ino|ono|e) {_THE}{_TOPIC}",
        rf"(?:in cui|dove|nei quali|nelle quali) (?:si )?(?:parl[ai]|tratt[ai]) {_OF}{_TOPIC}",
        rf"(?:in cui|dove) (?:compar|figur|appa)(?:e|a|ono|ano|iono|iano|re) {_THE}{_TOPIC}",
        rf"(?:contenent[ei]|riguardant[ei]) {_THE}{_TOPIC}",
        r"con (?:la parola|le parole|il termine|i termini) (?P<topic>[^·?!.;:]+)",
        rf"(?:a proposito|in tema) {_OF}{_TOPIC}",
        rf"(?:riguardo|in merito|dedicat[oiae]|inerent[ei]|relativ[oiae]) {_TO}{_TOPIC}",
        rf"ha(?:nno)? scritto {_OF}(?!recente|piu |meno ){_TOPIC}",
        rf"sul tema {_OF}{_TOPIC}",
        rf"(?:sull'argomento|sul tema) {_THE}{_TOPIC}",
        rf"(?<!sono )(?<!è )(?<!siano )(?<!andat[oiae] )(?<!messi )(?<!va )(?<!vanno ){_ON}{_TOPIC}",
    ),
    topic_end=phrase(
        "che|esce|escono|aggiornat[oiae]|modificat[oiae]|cambiat[oiae]|creat[oiae]|cost[ao]|costano|sono|è|era|erano|hanno|ha|abbiamo|scritt[oiae]|ordinat[oiae]|taggat[oiae]|ma|quant[ie]|mostra|elenca|disponibil[ei]|tradott[oiae]"
        "|con|senza|non|da|dal|per ogni|ci"
    ),
    in_title=(
        phrase(
            rf"(?:con|hanno|ha|avent[ei]|contengono|contiene|contenent[ei]|parol[ae]) {_THE}(?:parol[ae] |termin[ei] )?"
            rf"{_WORDS}?) nel (?:loro |suo )?(?:titolo|nome)"
        ),
        phrase(r"(?P<words>[^ ·?!.;:,]+) nel (?:loro |suo )?(?:titolo|nome)"),
        phrase(
            r"(?:il cui |con (?:il |un )?)?(?:titolo|nome|titoli) (?:che )?(?:contiene|contengono|contenent[ei]|include|con|ha)"
            rf" {_THE}(?:parol[ae] |termin[ei] )?{_WORDS})"
        ),
        phrase(rf"(?:chiamat[oiae]|intitolat[oiae]|dal titolo|che si chiama(?:no)?) {_WORDS})"),
    ),
    search=phrase("trova(?:mi|re|temi)?", "cerca(?:mi|re|temi)?", "cerco", "cercando"),
    topic_first=False,
    qualities=phrase(r"\w{2,}(?:at|ut|it|es)[oaie]"),
    seek=phrase(
        "c'è",
        "ce",
        "ci sono",
        "abbiamo",
        "esiste",
        "esistono",
        "qualche",
        "qualcosa",
    ),
    unsearchable=phrase(
        "giorn[oi]|settiman[ae]|mes[ei]|ann[oi]|dat[ae]|volt[ae]|fine settimana|weekend|popolar[ei]|non|no|mai|nessun[oa]?|niente|nulla|senza|tranne|eccetto|salvo|piu|meno|migliore?|migliori|peggior[ei]|buon[oiae]|mediocri",
        "lung[oaih]+e?|cort[oiae]|brev[ei]|grand[ei]|piccol[oiae]|pesant[ei]|legger[oiae]|perche|come|dove|stess[oiae]|divers[oiae]",
        "differenz[ae]|confront[oai]|confronta|paragona|rispetto|o|oppure|se|solo|soltanto|prima|dopo|da|dal|fino|tra|fra|sotto|sopra|altr[oiae]",
        "entrambi|ogni|ciascun[oa]?|prim[oiae]|second[oiae]|terz[oiae]|prossim[oiae]|precedent[ei]|scors[oiae]|inizio|fine|meta|somma|totale|media",
        "percentual[ei]|elimina|cancella|crea|aggiorna|modifica|pubblica|rinomina|traduci|scrivi|aggiornat[oiae]|modificat[oiae]|creat[oiae]",
        "immagin[ei]|foto|comment[oi]|visit[ae]|visitatori|magazzino|parol[ae]|caratter[ei]|popolar[ei]|important[ei]|interessant[ei]|rilevant[ei]",
        r"video|link|refus[oi]|error[ei]|allegat[oi]|didascali[ae]|metadati|document[oi]|offert[ae]|sald[oi]|scont[oi]|evidenza|vetrina|homepage|instagram|facebook|urgent[ei]|pront[oiae]|programmat[oiae]|archiviat[oiae]|revisionat[oiae]|approvat[oiae]|scadut[oiae]|spagnolo|francese|domani|suo|sua|loro|lui|lei|\d+|simil[ei]|car[oiae]|economic[oiah]+e?|(?:da|di) \w+",
    ),
)
"""Italian filters."""
