"""Names of persons, told by what stands before them or by a common given name before a surname. Best effort.

Texts of agents are full of words with capitals that name no person, so precision goes first: a given name alone, or two capital
words without a cue, stay. The match is the name without title and cue.
"""

import re
from collections.abc import Iterator

from collectors.redact.detector import CAPITAL, Category, DataClass, Detector, Match
from collectors.redact.detectors.names import GIVEN_NAMES
from collectors.redact.overlap import without_overlaps

_UPPER = "A-ZÀ-ÖØ-ÞŁŚŻŠŽČĆĐ"
_LOWER = "a-zß-öø-ÿąćęłńśźżšžčđěřůāēīōū"
_WORD = rf"(?:(?:O|D|L|Mc|Mac|De|Di|Van|Le|La)['\u2019]?)?[{_UPPER}][{_LOWER}]{{1,24}}(?:[-'\u2019][{_UPPER}]?[{_LOWER}]{{1,24}}){{0,2}}"
_INITIAL = rf"[{_UPPER}]\.(?:-?[{_UPPER}]\.)?"
_PARTICLES = r"(?:(?:van|von|der|den|de|del|della|di|da|dos|du|le|la|bin|ibn|al|el|ter|ten|zu|zum|y|e)(?: |-)){1,2}"
_NEXT = rf"(?: (?:{_PARTICLES})?(?:{_INITIAL} ?)?{_WORD})"
_NAME = rf"(?P<name>(?:{_INITIAL} ?){{0,2}}{_WORD}{_NEXT}{{0,3}})"
_HEAD = r"(?:(?<![^\W_])|(?<=\\[nrt]))"

_TITLES = (
    r"(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Sir|Madam|Lady|Lord|Rev|Capt|Sgt|Lt|Judge|Senator|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|"
    r"Sr|Sra|Srta|Señora?|Don|Doña|Sig|Signor[ae]?|Sig\.ra|Dott|Dhr|Mevr|Mevrouw|Meneer)"
)
_TITLE_HINTS = (
    "Mr", "Ms", "Mx", "Miss", "Mme", "Mlle", "Monsieur", "Madam", "Mev", "Meneer", "Dr", "Prof", "Sir", "Lady", "Lord", "Rev", "Capt",
    "Sgt", "Lt", "Judge", "Senator", "Herr", "Frau", "Sr", "Señor", "Don", "Doña", "Sig", "Dott", "Dhr",
)  # fmt: skip
_TITLED = re.compile(rf"{_HEAD}{_TITLES}(?:\. ?| ){_NAME}")
_INTRODUCED = re.compile(
    rf"{_HEAD}(?:[Mm]y (?:full |last |first |legal )?name is|[Nn]ame(?:'s| is)|[Cc]alled myself|[Ii]ch hei(?:ß|ss)e|[Mm]ein Name ist|[Jj]e m'appelle|"
    rf"[Mm]e llamo|[Mm]i nombre es|[Mm]i chiamo|[Ii]k heet|[Mm]ijn naam is) {_NAME}"
)
_FIELDS = re.compile(
    rf"{_HEAD}(?:(?:[Ff]ull|[Ff]irst|[Ll]ast|[Cc]ustomer|[Cc]ontact|[Cc]lient|[Ee]mployee|[Pp]atient|[Pp]assenger|[Gg]uest|[Hh]older|[Ss]ender|[Rr]ecipient|[Mm]iddle|[Ff]amily|[Gg]iven)"
    rf"[ _-]?)[Nn]ame[\"'\\]{{0,2}}\s?[:=]\s{{0,8}}[\"'\\]{{0,2}}{_NAME}"
    rf"|{_HEAD}(?:Name|Patient|Cardholder|Account holder|Attn|Attention|Bill to|Ship to|Signed(?: by)?|Nombre|Nom|Naam)\s?:\s{{0,8}}(?P<name2>{_WORD}{_NEXT}{{1,3}})"
)
_SIGNED = re.compile(
    rf"{_HEAD}(?:[Rr]egards|[Ss]incerely(?: yours)?|[Cc]heers|[Yy]ours (?:truly|faithfully)|[Bb]est(?: wishes)?|[Tt]hanks|[Tt]hank you|Mit freundlichen Gr(?:ü|ue)(?:ß|ss)en|"
    rf"Viele Grüße|Cordialement|Saludos|Cordiali saluti|Met vriendelijke groet),?(?:\s|\\n){{1,4}}{_NAME}(?=\s{{0,3}}(?:$|[\r\n,.]|\\n))"
)
_GREETINGS = (
    "customer is|client is|patient is|guest is|customer was|patient was|Dear|dear|Hi|hi|Hello|hello|Hey|hey|I am|I'm|This is|this is|Contact|contact|Hallo|hallo|Liebe|liebe|Lieber|lieber|Bonjour|bonjour|Cher|cher|"
    "Chère|chère|Hola|hola|Estimado|estimado|Estimada|estimada|Ciao|ciao|Beste|beste|Geachte|geachte"
)
_ADDRESSING = frozenset(
    ("Dear", "dear", "Liebe", "Lieber", "Cher", "Chère", "Estimado", "Estimada", "Beste", "Geachte", "customer is", "client is",
     "patient is", "guest is", "customer was", "patient was")
)  # fmt: skip
_WEAK = re.compile(rf"(?P<greeting>{_GREETINGS})[,:]? {_NAME}")
_CAPITALISED = re.compile(rf"[{_UPPER}][{_LOWER}]{{1,24}}(?=[ -])")
_FULL_NAME = re.compile(_NAME)
_BY_SPACES = re.compile(r"[^ ]+")
_NO_NAMES = frozenset(
    ["The", "This", "That", "These", "Those", "There", "Then", "Thanks", "Thank", "Team", "Support", "Customer", "Service", "Sir", "Madam", "All", "Everyone", "Everybody", "Friend", "Friends", "User", "Agent", "Assistant", "Please", "Your", "You", "We", "Our", "They", "Their", "It", "Its", "He", "She", "His", "Her", "My", "Me", "World", "Hiring", "Manager", "Committee", "Board", "Sales", "Marketing", "Finance", "Legal", "Human", "Resources", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December", "Not", "Yes", "No", "Ok", "Okay", "Sure", "Hello", "Hi", "Dear", "Good", "Great", "Best", "Regards", "Error", "None", "Null", "True", "False", "Unknown", "Anonymous", "Test", "Example", "Inc", "Ltd", "Corp", "Company", "Street", "Road", "Avenue", "Bank", "University", "School", "Hospital", "Government", "Department", "Office", "Group", "Systems", "Python", "Java", "English", "French", "German", "Spanish", "Italian", "What", "When", "Where", "Who", "Why", "How", "Can", "Could", "Would", "Should", "Is", "Are", "Was", "Were", "Do", "Does", "Did", "Have", "Has", "Had", "And", "Or", "But", "If", "In", "On", "At", "For", "From", "To", "With", "By", "Of", "As", "An", "Here", "Now", "Today", "Tomorrow", "Yesterday", "Let", "Just", "Also", "Always", "Never", "Looking", "Happy", "Sorry", "Available", "Currently", "Trying", "Going", "Calling", "Writing", "Interested", "Google", "Microsoft", "Amazon", "Apple", "Openai", "Anthropic", "Claude", "Gemini", "Llama", "Mistral", "Copilot", "Chat", "Model", "Tool", "Function", "Order", "Invoice", "Ticket", "Number", "Id", "Date"]
)  # fmt: skip
_HINTED = (
    (_TITLED, _TITLE_HINTS),
    (_INTRODUCED, ("ame is", "ame's", "alled myself", "heiße", "heisse", "Name ist", "appelle", "llamo", "ombre es", "chiamo", "heet", "naam is")),
    (_FIELDS, ("ame", "Patient", "older", "Attn", "Attention", "Bill to", "Ship to", "Signed", "Nombre", "Nom")),
    (_SIGNED, ("egards", "incerely", "heers", "ours ", "Best", "best", "hanks", "hank you", "Grü", "Grue", "ordialement", "aludos", "saluti", "groet")),
)  # fmt: skip
"""Patterns, and texts of which each of their matches holds one: to look for those first costs a tenth."""


def _find(text: str) -> Iterator[Match]:
    found: list[Match] = []
    for cue, hints in _HINTED:
        if any(hint in text for hint in hints):
            for match in cue.finditer(text):
                group = "name" if match["name"] else "name2"
                if cue is not _SIGNED or " " in match[group] or _given(match[group]):
                    found += _trimmed(match[group], match.start(group))
    for match in _WEAK.finditer(text):
        known = _given(match["name"]) or (match["name"].count(" ") and match["greeting"] in _ADDRESSING)
        if known and _stands_free(text, match.start()):
            found += _trimmed(match["name"], match.start("name"))
    reached = 0
    for match in _CAPITALISED.finditer(text):
        if match[0] in GIVEN_NAMES and match.start() >= reached and _stands_free(text, match.start()):
            named = _named(text, match.start())
            found += named
            reached = named[0].end if named else reached
    yield from without_overlaps(found)


def _stands_free(text: str, start: int) -> bool:
    """Whether no letter or digit stands before `start`, but for an escaped line break."""
    return start == 0 or not text[start - 1].isalnum() or text[max(0, start - 2) : start] in {"\\n", "\\r", "\\t"}


def _given(name: str) -> bool:
    first = name.partition(" ")[0]
    return first in GIVEN_NAMES or first.partition("-")[0] in GIVEN_NAMES


def _trimmed(name: str, start: int) -> list[Match]:
    """The name up to the first word that belongs to the sentence instead; nothing if that is its first."""
    end = 0
    for word in _BY_SPACES.finditer(name):
        bare = word[0].rstrip(".'\u2019")
        if bare in _NO_NAMES or bare.removesuffix("'s") in _NO_NAMES:
            break
        end = word.end()
    kept = name[:end]
    for possessive in ("'s", "\u2019s"):
        kept = kept.removesuffix(possessive)
    return [Match(start, start + len(kept))] if kept else []


def _named(text: str, start: int) -> list[Match]:
    """The name that begins with the given name at `start`, if it goes on with another word."""
    whole = _FULL_NAME.match(text, start)
    if not whole:
        return []
    found = _trimmed(whole["name"], start)
    return found if found and " " in text[start : found[0].end] else []


def _partial(value: str) -> str:
    return " ".join(word[:1] + "." for word in value.split())


_BEFORE_NAME = r"[A-Z\xc3-\xc5]"

PERSON = Detector(
    name="person",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        rf"(?-i:{_TITLES}(?:\. ?| ){_BEFORE_NAME})",
        r"(?-i:(?:[Nn]ame is|ame's|alled myself|hei(?:ß|ss)e|Name ist|m'appelle|llamo|nombre es|chiamo|k heet|naam is) "
        + _BEFORE_NAME
        + ")",
        (
            r"(?-i:(?:ull|irst|ast|ustomer|ontact|lient|mployee|atient|assenger|uest|older|ender|ecipient|iddle|amily|iven)[ _-]?[Nn]ame[\"'\\]{0,2}\s?"
            rf"[:=]\s{{0,8}}[\"'\\]{{0,2}}{_BEFORE_NAME})"
        ),
        r"(?-i:(?:Name|atient|ardholder|ccount holder|Attn|Attention|ill to|hip to|Signed|igned by|Nombre|Nom|Naam)\s?:\s{0,8}"
        + _BEFORE_NAME
        + ")",
        r"(?-i:(?:egards|incerely|ours truly|ours faithfully|incerely yours|heers|[Bb]est|ishes|hanks|hank you|Gr(?:ü|ue)(?:ß|ss)en?|"
        r"ordialement|aludos|saluti|groet),?(?:\s|\\n){1,4}" + _BEFORE_NAME + ")",
        rf"(?-i:(?:{_GREETINGS})[,:]? {_BEFORE_NAME})",
        *(f"{name} {CAPITAL}" for name in sorted(GIVEN_NAMES)),
    ),
    find=_find,
    partial=_partial,
    priority=20,
)
