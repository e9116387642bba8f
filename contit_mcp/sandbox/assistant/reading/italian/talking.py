"""How a conversation goes on in Italian."""

from __future__ import annotations

from typing import Final

from contit_mcp.sandbox.assistant.reading.names import Names
from contit_mcp.sandbox.assistant.reading.patterns import phrase
from contit_mcp.sandbox.assistant.reading.vocabulary import TalkWords

_ORDINALS: Final = Names.of(
    {
        "1": "prim[oa]|1[°oa]",
        "2": "second[oa]|2[°oa]",
        "3": "terz[oa]|3[°oa]",
        "4": "quart[oa]|4[°oa]",
        "5": "quint[oa]|5[°oa]",
        "6": "sest[oa]|6[°oa]",
        "7": "settim[oa]|7[°oa]",
        "8": "ottav[oa]|8[°oa]",
        "9": "non[oa](?! (?:è|e|sono|ha|hanno))|9[°oa]",
        "10": "decim[oa]",
        "11": "undicesim[oa]",
        "12": "dodicesim[oa]",
        "0": "ultim[oa] (?:della lista|dell'elenco|di (?:questi|queste|quelli))",
    }
)
_THE: Final = r"(?:(?:il|la|l'|lo|del|della|dell'|dal|sul|sulla|sull'|al|alla|all'|i|le|gli|dei|delle|sui) ?)?"
_ENTRY: Final = r"(?: (?:articol[oi]|prodott[oi]|pagin[ae]|contenut[oi]|voce|risultat[oi]|bozz[ae]|di (?:questi|queste|quelli|quelle|loro)|(?:nella|della|dalla) lista|dell'elenco|element[oi]))*"
_SO: Final = r"(?:(?:ok|va bene|ora|adesso|e|allora|poi|ma|per favore|bene|invece),? )*"
_SHOW: Final = r"(?:(?:mostra(?:mi|mene)?|elenca(?:mi)?|dammi|dammene|fammi vedere|visualizza|vorrei vedere) )?"
_NUMBER: Final = r"\d{1,2}|due|tre|quattro|cinque|sei|sette|otto|nove|dieci"

ITALIAN_TALK: Final = TalkWords(
    greeting=phrase("(?:ciao|salve|buongiorno|buonasera|buon pomeriggio)(?: contit)?"),
    thanks=phrase("(?:ok,? |perfetto,? |bene,? )?(?:grazie|ti ringrazio)(?: mille| tante| molte)?"),
    help=phrase(
        "(?:per favore )?aiut(?:o|ami)",
        "(?:che )?cosa (?:sai|puoi|sai fare|puoi fare)(?: fare)?(?: per me)?",
        "(?:che )?cosa posso (?:chiederti|chiedere|domandarti)",
        "come funziona|come funzioni",
        "(?:chi|cosa) sei",
    ),
    yes=phrase("(?:si|certo|certamente|ok|va bene|volentieri|d'accordo)(?:,? grazie|,? per favore)?"),
    no=phrase("no(?:,? grazie)?", "(?:è|basta) (?:tutto|cosi)", "basta"),
    more=phrase(
        rf"{_SO}{_SHOW}(?:(?:(?:gli |le |i |la |il )?(?:altr[ie]|prossim[ie]|successiv[ie]|restant[ie]|rimanent[ie]|resto|ancora|di piu|pagina successiva|pagina seguente))(?: \d+| dieci| risultati)?)",
        rf"{_SO}(?:continua|vai avanti|avanti|prosegui|mostrane altr[ie]|ancora)",
    ),
    all_of_them=phrase(
        rf"{_SO}{_SHOW}(?:tutti|tutte|tutto|l'elenco completo|la lista completa|tutto l'elenco|tutta la lista)",
        rf"{_SO}(?:mostral[ie]|elencal[ie]) tutt[ie]",
        "mostrameli tutti|mostramele tutte",
    ),
    command=phrase(
        r"^(?:(?:per favore|ora|ok|e|poi|puoi|potresti|vorrei|voglio),? )*"
        "(?:(?:ri)?pubblic|cancell|elimin|cre|modific|aggiorn|rinomin|archivi|spost)(?:a|are|alo|ala|ali|ale|ami)",
        r"^(?:(?:per favore|ora|ok|e|poi|puoi|potresti),? )*(?:traduci|tradurre|scrivi(?:mi)?|scrivere|aggiungi|aggiungere|rimuovi|rimuovere)",
    ),
    noise=phrase(
        "per favore|per piacere|per cortesia|gentilmente|cortesemente|se possibile|se (?:puoi|potete|riesci)(?! \\w+re)|(?:molte |tante )?grazie(?: mille)?(?=[ .!]*$)",
        "(?:(?:mi|ci) )?(?:potrebbe|potreste|puo|potete|sapete|saprebbe|sa|riuscite a|riusciresti a|saresti in grado di|è possibile|si puo|si possono|vi dispiace|ti dispiace|ti dispiacerebbe)"
        "(?: (?:dir[mc]i|mostrar[mc]i|elencar[mc]i|dar[mc]i|trovar[mc]i|far[mc]i vedere|trovare|elencare|mostrare|contare|cercare|vedere|sapere|avere|dire))",
        "(?:puoi|potresti|mi puoi|mi potresti|sapresti|riesci a|sai)(?: (?:per favore |gentilmente )?(?:dir[mc]i|mostrar[mc]i|elencar[mc]i|dar[mc]i|trovar[mc]i|far[mc]i vedere|dire|trovare|elencare|mostrare|contare|cercare|cercarmi))?",
        "(?:(?:io|noi|adesso|ora) )?(?:vorrei|voglio|vorremmo|vogliamo|volevo|volevamo|desidero|desidererei|gradirei|mi piacerebbe|ci piacerebbe|(?:avrei|ho|abbiamo|avremmo) bisogno(?: di)?|sto cercando|stiamo cercando|mi interessa(?:no)?(?= (?:sapere|vedere|conoscere|avere))|mi interesserebbe|mi servirebbe|sono curios[oa] di|mi chiedevo|mi domandavo)"
        "(?: (?:sapere|vedere|conoscere|avere|leggere|un elenco d(?:i|ei|egli|elle)|(?:l')?elenco d(?:i|ei|egli|elle)|la lista d(?:i|ei|egli|elle)))?(?: se)?",
        "(?:mi|ci) (?:sai|puoi|sapresti|sa|puo|sapete|potete) (?:dire|mostrare|elencare|dare|trovare|fare? vedere|contare|cercare)",
        "(?:mi|ci) (?:elenchi|elenca|elencate|elenchereste|elencheresti|dici|dica|dite|diresti|direbbe|dai|dia|date|daresti|conti|indichi|faresti vedere|mostreresti|troveresti)(?: (?:un |l')?elenco d(?:i|ei|egli|elle))?",
        "(?:mi|ci) serv(?:e|ono|irebbe|irebbero)",
        "(?:tra|fra|di) (?:tutt[ie] )?(?:gli|le|i)(?: nostr[ie])?(?= (?:nostr[ie] )?(?:articoli|prodotti|pagine|contenuti|bozze|post|tende|zaini|giacche|scarpe|scarponi|accessori|sacchi a pelo)(?: |,))",
        "(?:nel|del|dal|sul|nello|dello) (?:nostro |mio )?(?:workspace|cms|sito|blog|catalogo|sistema|spazio di lavoro|database)",
        "in contit|su contit",
        "in assoluto",
        "(?<=autori )diversi|(?<=tag )diversi|(?<=lingue )diverse|(?<=categorie )diverse",
        "in totale|finora|al momento|attualmente|in questo momento|complessivamente|in tutto|per ora|fino a ora",
        "(?:un |l')?elenco (?:di|dei|degli|delle)|(?:una |la )?lista (?:di|dei|degli|delle|completa (?:di|dei|degli|delle))",
    ),
    harmless=phrase(
        "ma(?= (?:con|sono|hanno|ha|che|ancora|anche|solo in|senza))",
        "(?:solo|soltanto)(?= (?:gli |le |i )?(?:articoli|prodotti|pagine|bozze|pubblicat))",
        "(?<=articoli )soltanto|(?<=articoli )solo",
    ),
    fillers=frozenset(
        "il lo la i gli le l un uno una di del dello della dell dei degli delle d a al allo alla all ai agli alle da dal "
        "dallo dalla dall dai dagli dalle in nel nello nella nell nei negli nelle con su sul sulla per e ed che chi cui "
        "è sono era erano sia siano essere stato stata stati state ha hanno ho hai abbiamo avete abbia aver avuto c ce ci "
        "si mi ti me te noi voi nostro nostra nostri nostre vostro mio mia miei tuo ne quale quali qual quello quella "
        "quelli quelle questo questa questi queste quel quei tutti tutte tutto tutta ogni alcuni alcune qualche dei "
        "elenca elencami elencare mostra mostrami mostrare dammi dimmi dicci diteci mostraci mostrateci elencaci elencatemi elencateci dacci datemi facci fateci fatemi fai fa faccia vediamo dai fammi vedere trova trovami cerca cercami "
        "lista elenco visualizza esiste esistono presenti presente disponibili disponibile anche ancora gia adesso ora "
        "scritto scritta scritti scritte scrive scrivono firmati ciao salve ok allora poi contit nome nomi titolo titoli "
        "chiamato cosa cos sarebbe sarebbero che vengono viene vendiamo venduti vendete offriamo legati appartengono relativi inerenti "
        "ordinati ordinate ordina dopo contenuti parla parlano quant so "
        "data mostramelo leggere sapere cio tema sia usa usano usato usati usate suddivisione ripartizione panoramica distribuzione qualcosa completo completa".split()
    )
    - {"dopo", "ogni"},
    ordinals=_ORDINALS,
    pick=phrase(
        rf"(?:i |gli |le |dei |delle )?prim[ie] (?P<upto>{_NUMBER})(?! (?:mesi|giorni|settimane|anni)){_ENTRY}",
        rf"{_THE}(?P<ordinals>{_ORDINALS.any}(?!\w)(?:(?: e |, ?){_THE}{_ORDINALS.any}(?!\w))*){_ENTRY}",
        rf"{_THE}(?:numero|numeri|n\.?|risultato|voce|#) ?(?P<numbers>\d{{1,2}}(?:(?: e |, ?)(?:il |numero )?\d{{1,2}})*)",
        rf"(?<![^ ]){_SO}{_SHOW}{_THE}#?(?P<numbers>\d{{1,2}})(?=[ ?.!]*$)",
    ),
    focus=phrase(
        "(?:questo|quest'|quello|quell'|questa|quella|lo stesso|la stessa) ?(?:articolo|prodotto|pagina|contenuto|bozza|elemento)",
        r"(?:questo|quello|questa|quella|esso|essa)(?=[ ?!.·]*$)",
        "l'ha|l'hanno",
    ),
    the_one=phrase(
        "(?:l'|dell'|nell'|sull'|all')(?:articolo|elemento)",
        "(?:il|del|nel|sul|al) (?:post|prodotto|contenuto|pezzo)",
        "(?:la|della|nella|sulla|alla) (?:pagina|bozza|notizia)",
    ),
    them=phrase(
        "(?:(?:di|tra|fra|in|su|da) )?(?:questi|queste|quelli|quelle|loro|essi|esse)(?! (?:articoli|prodotti|pagine|contenuti) (?:che|di|in|con))",
        "(?:mostra|elenca|ordina|conta)(?:me)?l[ie]",
    ),
    elliptic=phrase(
        r"^(?:(?:ok|ora|adesso|e|ed|ma|allora|poi),? )*(?:quant[ie]|qual[ie])"
        r"(?= (?:sono|ne|è|hanno|ha|costano|costa|esistono|esiste|parlano|menzionano|riguardano|in|di|su|sull\w+|sotto|sopra|non|anche|ci sono)(?!\w)|[ ?]*$)"
    ),
    what_about=phrase(
        rf"^{_SO}(?:che (?:mi dici|ne dici)|cosa mi dici) (?:di|del|della|dell'|dei|degli|delle)",
        "^(?:ok,? |va bene,? )?(?:e|ed|ma)",
        "^(?:lo stesso|la stessa cosa) (?:per|in|ma)",
        "^invece",
    ),
    only=phrase(
        "^(?:(?:ok|ora|adesso|e|per favore|ma|mostra(?:mi)?|elenca(?:mi)?|dammi|conta|allora),? )*(?:solo|soltanto|solamente)"
    ),
    titled_page=r"(?:la |della )?pagina TITLE",
)
"""Italian conversation."""
