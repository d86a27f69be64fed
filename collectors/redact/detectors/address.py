"""Street addresses by rule, as several countries write them. Best effort.

A house number and the name of a street, in either order, with what follows as far as it can be told: flat, town, state, postal
code. A town or a postal code alone stays.
"""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.overlap import without_overlaps

_UPPER = "A-ZÀ-ÖØ-ÞŁŚŻŠŽČĆĐ"
_LETTER = "A-Za-zÀ-ÖØ-öø-ÿĀ-ž"
_WORD = rf"[{_UPPER}\d][{_LETTER}\d'\u2019.-]{{0,24}}"
_LINK = r"(?:de|del|della|dei|la|le|les|los|las|du|des|di|da|do|dos|van|von|der|den|the|of|y|et|d'|l'|an|am|im|in|zum|zur|ter|'t)"
_HOUSE = r"\d{1,5}(?:[A-Za-z](?![A-Za-z])|[-/]\d{1,4})?"

_FULL = (
    r"Street|street|Avenue|avenue|Road|road|Boulevard|boulevard|Lane|lane|Drive|Court|Place|Square|Terrace|Crescent|Circle|Highway|Parkway|Trail|Way|Close|Gardens|Grove|"
    r"Alley|Plaza|Row|Walk|Mews|Park|Hill|Loop|Pike|Turnpike|Expressway|Freeway|Crossing|Ridge|Heights|Meadows?|Points?|Ports?|Springs?|Stations?|Streams?|"
    r"Summit|Tunnel|Turn|Unions?|Valleys?|Views?|Villages?|Ville|Vista|Wells?|Locks?|Manors?|Mills?|Mission|Motorway|Mountains?|Oval|Overpass|Passage|Path|Pines?|"
    r"Plains?|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|River|Roads?|Route|Run|Shoals?|Shores?|Skyway|Spurs?|Squares?|Stravenue|Throughway|Trace|Track|Trafficway|Underpass|"
    r"Viaduct|Walks?|Ways|Bypass|Canyon|Cape|Causeway|Center|Cliffs?|Club|Common|Corners?|Course|Coves?|Creek|Crest|Curve|Dale|Dam|Divide|Estates?|Extensions?|Falls|Ferry|"
    r"Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Fort|Garden|Gateway|Glens?|Green|Groves|Harbors?|Haven|Hills|Hollow|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Landing|"
    r"Lights?|Lodge|Mall|Brooks?|Burgs?|Bluffs?|Branch|Bridge|Bend|Beach|Bayou"
)
_SHORT = "St|Av|Ave|Rd|Blvd|Ln|Dr|Ct|Pl|Sq|Ter|Cres|Cir|Hwy|Pkwy|Trl"
_FLAT = r"(?:,?\s{1,3}(?:[Aa]pt|[Aa]partment|[Ss]uite|[Ss]te|[Uu]nit|[Ff]lat|[Ff]loor|[Rr]oom|[Bb]uilding|[Bb]ldg|[Bb]ox|#|No)\.? ?#?\w{1,6}(?![\w-]))?"
_SUFFIXES = frozenset(
    [word for form in _FULL.split("|") for word in ([form[:-2], form[:-1]] if form.endswith("s?") else [form])]
    + [short + dot for short in _SHORT.split("|") for dot in ("", ".")]
)
_WITHOUT_NAME = frozenset(("Avenue", "avenue", "Ave", "Ave.", "Highway", "Route", "Broadway"))

_BEFORE_NAME = (
    r"Rue|rue|Avenue|avenue|Boulevard|boulevard|Bd\.?|bd\.?|Chemin|chemin|Allée|allée|Impasse|impasse|Quai|quai|Place|place|Route|route|Cours|cours|Passage|passage|Via|via|Viale|viale|Corso|corso|Piazza|piazza|Vicolo|vicolo|"
    r"Strada|strada|Contrada|contrada|Borgo|borgo|Rotonda|rotonda|Canale|canale|Incrocio|incrocio|Stretto|stretto|Calle|calle|C/|Avenida|avenida|Avda?\.?|Paseo|paseo|Plaza|plaza|Ronda|ronda|Camino|camino|Carretera|carretera|Callejón|callejón|Vial|vial|Glorieta|glorieta|"
    r"Cuesta|cuesta|Pasaje|pasaje|Rambla|rambla|Acceso|acceso|Alameda|alameda|Cañada|cañada|Urbanización|urbanización|Travessa|travessa|Rua|rua|Largo|largo|Ul\.|ul\.|Ulica|ulica"
)
_STREET_KINDS = frozenset(_BEFORE_NAME.replace("\\", "").replace("?", "").split("|"))
_ROMANCE = rf"(?:C/|(?:{_BEFORE_NAME}) )(?:{_LINK} |[dl]['\u2019]){{0,2}}{_WORD}(?: (?:{_LINK} ){{0,2}}{_WORD}){{0,4}}?,? (?:n[.º°]? ?)?{_HOUSE}{_FLAT}"

_GERMANIC_END = (
    r"stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm|straat|laan|plein|gracht|kade|singel|dreef|hof|pad|steeg|boulevard|gatan|vägen|gränd|vej|gade|allé|veien|vegen|gata|"
    r"katu|tie|kuja|polku|utca|utja"
)
_BOX = r"(?:P\.? ?O\.? ?Box|PSC|Postfach|Apartado|Casella Postale|Boîte Postale) ?\d{1,7}(?:,? Box \d{1,6})?"

_POSTAL = (
    r"(?:[A-Z]{1,2}-)?(?:\d{5}(?:-\d{4})?|\d{4}(?: ?[A-Z]{2})?|\d{3} ?\d{2}|\d{6,7})(?![\w-])"
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}(?!\w)|[A-Z]\d[A-Z] ?\d[A-Z]\d(?!\w)"
)
_PART = re.compile(
    rf"(?P<gap>[ \n\r\t]{{0,4}},?[ \n\r\t]{{0,4}}|[ ,]{{0,2}}\\n ?)(?:(?P<postal>{_POSTAL})|(?P<word>\(?[{_UPPER}][{_LETTER}'\u2019.-]{{1,24}}\)?|{_LINK}(?= )))"
)
_MOST_PARTS = 10
_AFTER_POSTAL = 4

_CUED = rf"(?:{_HOUSE},? (?:{_WORD} ?){{1,4}}|(?:{_WORD} ){{1,4}}{_HOUSE}){_FLAT}"
_CUES = (
    "address is|Address is|address:|Address:|lives at|live at|located at|reside at|resides at|residing at|moved to|ship to|Ship to|deliver to|"
    "Deliver to"
)

_STREET_FIRST = re.compile(_ROMANCE)
_FLAT_WORD = re.compile(r"(?:Apt|Suite|Ste|Unit|Flat|Bldg|Apartment)\.? #?[0-9]")
_WITH_FLAT = re.compile(
    rf"(?<![0-9])(?P<all>{_HOUSE},? (?:{_WORD} ){{0,3}}{_WORD},?\s{{1,3}}(?:Apt|Suite|Ste|Unit|Flat|Bldg|Apartment)\.? #?\d\w{{0,5}}(?![\w-]))"
)
_IN_BOX = re.compile(rf"(?P<all>{_BOX})")
_CALLED = re.compile(rf"(?:{_CUES})[ \t]{{0,8}}(?P<all>{_CUED})")
_LETTERS = re.compile(r"[^\W\d_]+")
_KINDS = frozenset(kind.rstrip("./") for kind in _STREET_KINDS)
_NUMBER = re.compile(
    rf"[0-9](?<![0-9].)[0-9]{{0,4}}(?:[A-Za-z](?![A-Za-z])|[-/][0-9]{{1,4}})?(?: ?(?:bis|ter))?,? (?=[{_LETTER}]|[0-9]{{1,4}}[{_LETTER}'])"
)
"""A house number that a word follows."""
_NUMBER_OF_FLAT = re.compile(
    rf"(?:Flat|Studio|Apartment|Apt\.?|Unit|Suite) \d{{1,4}}[a-zA-Z]?[,\n] ?(?:{_HOUSE} )?(?=[{_LETTER}\d])"
)
_STREET_WORD = re.compile(rf"(?:{_WORD}|(?:{_LINK}|{_BEFORE_NAME})(?![^\W_]))")
_REST_WITH_NUMBER = re.compile(rf"(?:,? {_HOUSE}(?: ?[a-zA-Z])?(?![\w]))?{_FLAT}")
_BARE_ENDS = (
    "Straße",
    "Strasse",
    "Str.",
    "Weg",
    "Platz",
    "Allee",
    "Gasse",
    "Ring",
    "Ufer",
    "út",
    "utca",
    "u.",
    "Plein",
)
_ENDS = ("straße", "strasse", *(end.replace("\\", "") for end in _GERMANIC_END.split("|")[1:]), *_BARE_ENDS)
_WORD_ENDS = tuple(end.rstrip(".") for end in _ENDS)
_BEFORE_DIGIT = re.compile(f"(?<=[{''.join(sorted({end[-1] for end in _ENDS}))}]),? (?=[0-9])")
_SUFFIX_WORDS = frozenset(suffix.rstrip(".") for suffix in _SUFFIXES | _WITHOUT_NAME)
_FLATS = ("Apt", "Studio", "Suite", "Ste", "Unit", "Flat", "Bldg", "Apartment")
_BOXES = ("Box", "PSC", "Postfach", "Apartado", "Casella", "Boîte")
_CUE_HINTS = (
    "ddress is", "ddress:", "lives at", "live at", "ocated at", "eside", "esiding at", "moved to", "hip to", "eliver to",
)  # fmt: skip
_FREE = re.compile(r"(?:(?<![\w.,:/#$€£-])|(?<=\\[nrt])|(?<=[^\d][:,]))")
_MOST_WORDS = 6
_LONGEST_STREET = 64
_LONGEST_FLAT = 128


def _find(text: str) -> Iterator[Match]:
    found = [*_by_words(text), *_germanic(text)]
    if any(hint in text for hint in _FLATS):
        found += _number_first(text, _NUMBER_OF_FLAT)
        found += _with_flat(text)
    if any(hint in text for hint in _BOXES):
        found += _matches(_IN_BOX, text)
    if any(hint in text for hint in _CUE_HINTS):
        found += _matches(_CALLED, text)
    yield from without_overlaps(found)


def _by_words(text: str) -> Iterator[Match]:
    """Streets told by a word: words are looked up, and numbers walked only where some word ends or begins a street's name."""
    words = set(_LETTERS.findall(text))
    kinds = words & _KINDS
    if kinds:
        for word in _LETTERS.finditer(text):
            street = word[0] in kinds and _STREET_FIRST.match(text, word.start())
            if street and _FREE.match(text, word.start()):
                yield _stripped(text, *street.span())
    if kinds or not words.isdisjoint(_SUFFIX_WORDS) or any(word.endswith(_WORD_ENDS) for word in words):
        yield from _number_first(text, _NUMBER)


def _with_flat(text: str) -> Iterator[Match]:
    """`12 Main Apt 4`, looked for before each `Apt` and the like."""
    reached = 0
    for flat in _FLAT_WORD.finditer(text):
        if flat.start() >= reached:
            begin = max(reached, flat.start() - _LONGEST_FLAT)
            for match in _WITH_FLAT.finditer(text, begin, flat.end() + 8):
                reached = match.end()
                if _FREE.match(text, match.start()):
                    yield _stripped(text, match.start(), reached)


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Match]:
    for match in pattern.finditer(text):
        start = match.start("all")
        if _FREE.match(text, start):
            yield _stripped(text, start, match.end("all"))


def _stripped(text: str, start: int, end: int) -> Match:
    end = _with_town(text, end)
    return Match(start, start + len(text[start:end].rstrip(" ,\n\r\t")))


def _with_town(text: str, end: int) -> int:
    """Where an address ends whose street ends at `end`: behind postal code, or behind capital words that stand apart."""
    at = kept = end
    since_postal = 0
    apart = False
    for _ in range(_MOST_PARTS):
        part = _PART.match(text, at)
        if not part or not part["gap"]:
            break
        at = part.end()
        if part["postal"]:
            kept, since_postal = at, 1
            continue
        apart = apart or not part["gap"].isspace() or "\n" in part["gap"]
        if since_postal:
            since_postal += 1
            if since_postal > _AFTER_POSTAL:
                break
        if (apart or since_postal) and (at == len(text) or text[at] in ',.\n\r"\\'):
            kept = at
    return kept


def _number_first(text: str, numbers: re.Pattern[str]) -> Iterator[Match]:
    """`12 Main St`, `7 rue de la Paix`, `6 Vaasankatu 25`."""
    for number in numbers.finditer(text):
        if _FREE.match(text, number.start()):
            end = _street_end(text, number.end())
            rest = end and _REST_WITH_NUMBER.match(text, end)
            if rest:
                yield _stripped(text, number.start(), rest.end())


def _street_end(text: str, start: int) -> int:
    """Where the street that begins at `start` ends, 0 if there is none."""
    at = start
    french = False
    last = 0
    for position in range(_MOST_WORDS):
        word = _STREET_WORD.match(text, at)
        if not word:
            break
        shown = word[0]
        if shown.isdigit():
            break
        end = word.end() + (text[word.end() : word.end() + 1] == "." and shown[-1] != ".")
        if position == 0:
            french = shown in _STREET_KINDS
            if shown in _WITHOUT_NAME and not french:
                return end
        elif french and (shown[0].isupper() or "'" in shown):
            last = end
        elif not french and shown.rstrip(".,") in _SUFFIXES:
            return end
        if not french and shown[0].isupper() and shown.endswith(_ENDS):
            return end
        if text[word.end() : word.end() + 1] != " " or (french and last and shown[0].islower()):
            break
        at = word.end() + 1
    return last


def _germanic(text: str) -> Iterator[Match]:
    """`Hauptstraße 12`, `Unter den Linden Allee 7`, `Kerkstraat 3 b`."""
    for gap in _BEFORE_DIGIT.finditer(text):
        end = gap.start()
        if not text.endswith(_ENDS, 0, end):
            continue
        window = text[max(0, end - _LONGEST_STREET) : end]
        words = window.split()
        start = end - len(words[-1])
        if words[-1] in _BARE_ENDS and len(words) > 1 and words[-2][0].isupper():
            start = end - len(window) + window.rfind(words[-2])
        rest = text[start].isupper() and _REST_WITH_NUMBER.match(text, end)
        if rest and rest.end() > end:
            yield _stripped(text, start, rest.end())


_CAPITAL = r"[A-Z\xc3-\xc5]"
_HOUSE_BEFORE = r"\d(?:,? |,?\n|,?\\n)"

ADDRESS = Detector(
    name="address",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        rf"(?-i:{_HOUSE_BEFORE}(?:{_CAPITAL}[A-Za-z.'\x80-\xff]|\d{{1,3}}[snrt][tdh])[A-Za-z0-9\x80-\xff'.-]{{0,24}},? (?:[A-Z]|st|ro|av|la|bo))",
        r"(?-i:[a-z\x80-\xff.] (?:Street|Avenue|Road|Lane|Boulevard))",
        r"(?-i:\d[a-zA-Z]?,? (?:Avenue|Ave|Highway|Route|Broadway|avenue))",
        r"(?-i:\d(?: ?[a-z]{1,3})?,? (?:" + _BEFORE_NAME + r") )",
        r"(?-i:(?:(?:" + _BEFORE_NAME + r") |C/ ?)(?:[a-z']{1,5}[ '\xe2]){0,2}[A-Z0-9\xc3-\xc5][^\d\r\n\"]{0,60}\d)",
        r"(?-i:(?:" + _GERMANIC_END + r"|Stra(?:ß|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|út|u\.|Plein)[, ]{1,2}\d)",
        r"(?-i:(?:Flat|Studio|Apartment|Apt\.?|Unit|Suite|Ste\.?|Bldg\.?) #?\d)",
        r"(?-i:(?:P\.? ?O\.? ?Box|PSC|Postfach|Apartado|Casella Postale|Boîte Postale) ?\d)",
        r"(?-i:(?:address is|address:|ives? at|ocated at|eside at|esides at|esiding at|oved to|hip to|eliver to)[ \t]{0,8}[A-Z0-9\xc3-\xc5])",
    ),
    find=_find,
    priority=30,
)
