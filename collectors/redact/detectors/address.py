"""Street addresses by rule, as several countries write them. Best effort.

A house number and the name of a street, in either order, with what follows as far as it can be told: flat, town, state, postal
code. A town or a postal code alone stays.
"""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match

_UPPER = "A-ZÀ-ÖØ-ÞŁŚŻŠŽČĆĐ"
_LETTER = "A-Za-zÀ-ÖØ-öø-ÿĀ-ž"
_WORD = rf"[{_UPPER}\d][{_LETTER}\d'\u2019.-]{{0,24}}"
_LINK = r"(?:de|del|della|dei|la|le|les|los|las|du|des|di|da|do|dos|van|von|der|den|the|of|y|et|d'|l'|an|am|im|in|zum|zur|ter|'t)"
_NAMES = rf"(?:(?:{_WORD}|{_LINK}) ){{1,4}}?"
_HOUSE = r"\d{1,5}(?:[A-Za-z](?![A-Za-z])|[-/]\d{1,4})?"
_HEAD = r"(?:(?<![\w.,:/#$€£-])|(?<=\\[nrt])|(?<=[^\d][:,]))"

_FULL = (
    r"[Ss]treet|[Aa]venue|[Rr]oad|[Bb]oulevard|[Ll]ane|Drive|Court|Place|Square|Terrace|Crescent|Circle|Highway|Parkway|Trail|Way|Close|Gardens|Grove|"
    r"Alley|Plaza|Row|Walk|Mews|Park|Hill|Loop|Pike|Turnpike|Expressway|Freeway|Crossing|Ridge|Heights|Meadows?|Points?|Ports?|Springs?|Stations?|Streams?|"
    r"Summit|Tunnel|Turn|Unions?|Valleys?|Views?|Villages?|Ville|Vista|Wells?|Locks?|Manors?|Mills?|Mission|Motorway|Mountains?|Oval|Overpass|Passage|Path|Pines?|"
    r"Plains?|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|River|Roads?|Route|Run|Shoals?|Shores?|Skyway|Spurs?|Squares?|Stravenue|Throughway|Trace|Track|Trafficway|Underpass|"
    r"Viaduct|Walks?|Ways|Bypass|Canyon|Cape|Causeway|Center|Cliffs?|Club|Common|Corners?|Course|Coves?|Creek|Crest|Curve|Dale|Dam|Divide|Estates?|Extensions?|Falls|Ferry|"
    r"Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Fort|Garden|Gateway|Glens?|Green|Groves|Harbors?|Haven|Hills|Hollow|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Landing|"
    r"Lights?|Lodge|Mall|Brooks?|Burgs?|Bluffs?|Branch|Bridge|Bend|Beach|Bayou"
)
_SHORT = "St|Ave?|Rd|Blvd|Ln|Dr|Ct|Pl|Sq|Ter|Cres|Cir|Hwy|Pkwy|Trl"
_COMPASS = r"(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.? )?"
_FLAT = r"(?:,?\s(?:[Aa]pt|[Aa]partment|[Ss]uite|[Ss]te|[Uu]nit|[Ff]lat|[Ff]loor|[Rr]oom|[Bb]uilding|[Bb]ldg|[Bb]ox|#|No)\.? ?#?\w{1,6}(?![\w-]))?"
_ENGLISH = rf"{_HOUSE},? {_COMPASS}(?:{_NAMES}(?:(?:{_FULL})(?![a-z])|(?:{_SHORT})(?:\.|(?![A-Za-z])))|(?:[Aa]venue|Ave\.?|Highway|Route|Broadway)(?: \w{{1,10}})?){_FLAT}"

_BEFORE_NAME = (
    r"[Rr]ue|[Aa]venue|[Bb]oulevard|[Bb]d\.?|[Cc]hemin|[Aa]llée|[Ii]mpasse|[Qq]uai|[Pp]lace|[Rr]oute|[Cc]ours|[Pp]assage|[Vv]ia|[Vv]iale|[Cc]orso|[Pp]iazza|[Vv]icolo|"
    r"[Ss]trada|[Cc]ontrada|[Bb]orgo|[Rr]otonda|[Cc]anale|[Ii]ncrocio|[Ss]tretto|[Cc]alle|C/|[Aa]venida|Avda?\.?|[Pp]aseo|[Pp]laza|[Rr]onda|[Cc]amino|[Cc]arretera|[Cc]allejón|[Vv]ial|[Gg]lorieta|"
    r"[Cc]uesta|[Pp]asaje|[Rr]ambla|[Aa]cceso|[Aa]lameda|[Cc]añada|[Uu]rbanización|[Tt]ravessa|[Rr]ua|[Ll]argo|[Uu]l\.|[Uu]lica"
)
_FRENCH = rf"{_HOUSE}(?: ?(?:bis|ter))?,? (?:{_BEFORE_NAME}) (?:(?:{_LINK} |[dl]['\u2019])?){{1,2}}{_WORD}(?: (?:{_LINK} ){{0,2}}{_WORD}){{0,3}}"
_ROMANCE = rf"(?:{_BEFORE_NAME}) ?(?:{_LINK} |[dl]['\u2019]){{0,2}}{_WORD}(?: (?:{_LINK} ){{0,2}}{_WORD}){{0,4}}?,? (?:n[.º°]? ?)?{_HOUSE}{_FLAT}"

_GERMANIC_END = (
    r"stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm|straat|laan|plein|gracht|kade|singel|dreef|hof|pad|steeg|boulevard|gatan|vägen|gränd|vej|gade|allé|veien|vegen|gata|"
    r"katu|tie|kuja|polku|utca|utja"
)
_GERMANIC_WORD = rf"(?:[{_UPPER}][{_LETTER}'-]{{1,30}}(?:{_GERMANIC_END})|(?:[{_UPPER}][{_LETTER}.'-]{{1,24}}[ -]){{1,3}}(?:Stra(?:ß|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|út|utca|u\.|[Pp]lein))"
_GERMANIC = rf"(?:{_HOUSE},? )?{_GERMANIC_WORD},? {_HOUSE}(?: ?[a-zA-Z](?![\w]))?{_FLAT}"
_GERMANIC_AFTER = rf"{_HOUSE},? {_GERMANIC_WORD}(?![a-zà-ÿ])"
_BOX = r"(?:P\.? ?O\.? ?Box|PSC|Postfach|Apartado|Casella Postale|Boîte Postale) ?\d{1,7}(?:,? Box \d{1,6})?"

_GAP = r"\s{0,2}[,\n]?\s{0,3}"
_TOWN = rf"[{_UPPER}][{_LETTER}'\u2019.-]{{1,24}}(?:[ -](?:{_LINK} )?[{_UPPER}][{_LETTER}'\u2019.-]{{1,24}}){{0,3}}"
_REGION = rf"(?:[A-Z]{{2,3}}|{_TOWN})"
_POSTAL = r"(?:[A-Z]{1,2}-)?(?:\d{5}(?:-\d{4})?|\d{4}(?: ?[A-Z]{2})?|\d{3} ?\d{2}|\d{6,7})(?![\w-])|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}(?!\w)|[A-Z]\d[A-Z] ?\d[A-Z]\d(?!\w)"
_TAIL = (
    rf"(?:{_GAP}(?:{_TOWN}{_GAP})?(?:{_REGION}{_GAP})?(?:{_REGION}{_GAP})?(?:{_POSTAL})(?:{_GAP}(?<=[,\n ])(?:{_TOWN})(?:,? ?\([A-Z]{{2}}\))?(?:\s?[,\n]\s{{0,2}}{_TOWN})?)?"
    rf"|\s?[,\n]\s{{0,3}}{_TOWN}(?:\s{{0,2}}[,\n]\s{{0,3}}{_REGION}(?![{_LETTER}])){{0,2}})?"
)
_CUED = (
    rf"(?:(?<=address is )|(?<=address: )|(?<=lives at )|(?<=live at )|(?<=located at )|(?<=reside at )|(?<=resides at )|(?<=residing at )|(?<=moved to )|(?<=ship to )|(?<=deliver to ))"
    rf"(?:{_HOUSE},? (?:{_WORD} ?){{1,4}}|(?:{_WORD} ){{1,4}}{_HOUSE}){_FLAT}"
)
_ADDRESS = re.compile(
    rf"(?:{_HEAD}(?:{_ENGLISH}|{_FRENCH}|{_GERMANIC}|{_GERMANIC_AFTER})|(?<![^\W_])(?:{_ROMANCE}|{_GERMANIC}|{_BOX})|{_CUED}){_TAIL}"
)


def _find(text: str) -> Iterator[Match]:
    for match in _ADDRESS.finditer(text):
        end = match.end() - (len(match[0]) - len(match[0].rstrip(" ,\n\r\t")))
        yield Match(match.start(), end)


_CAPITAL = r"(?:[A-Z0-9]|\xe2\x80\x99|[\xc3-\xc5])"
_BYTES = r"[^\d\r\n\"]"

ADDRESS = Detector(
    name="address",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        r"(?-i:\d[a-zA-Z]?,? (?:[A-Za-z\x80-\xff0-9.'-]{1,25} ){1,5}(?:" + _FULL + "|" + _SHORT + r"))",
        r"(?-i:\d[a-zA-Z]?,? (?:Avenue|Ave|Highway|Route|Broadway|avenue))",
        r"(?-i:\d(?: ?[a-z]{1,3})?,? (?:" + _BEFORE_NAME + r") )",
        r"(?-i:(?:"
        + _BEFORE_NAME
        + r") ?(?:(?:"
        + _LINK
        + r")[ '])?(?:(?:"
        + _LINK
        + r")[ '])?"
        + _CAPITAL
        + _BYTES
        + r"{0,60}\d)",
        r"(?-i:(?:" + _GERMANIC_END + r"|Stra(?:ß|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|út|u\.|Plein),? \d)",
        r"(?-i:\d[a-zA-Z]?,? [A-Z\xc3-\xc5]"
        + _BYTES
        + r"{1,60}(?:"
        + _GERMANIC_END
        + r"|Stra(?:ß|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|út|u\.|Plein))",
        r"(?-i:(?:P\.? ?O\.? ?Box|PSC|Postfach|Apartado|Casella Postale|Boîte Postale) ?\d)",
        r"(?-i:(?:address is|address:|ives? at|ocated at|eside at|esides at|esiding at|oved to|hip to|eliver to) [A-Z0-9])",
    ),
    find=_find,
    priority=30,
)
