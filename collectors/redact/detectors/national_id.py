"""National identity and tax numbers, each with its own form and check digits from python-stdnum; one line of data each.

Where chance passes the check too often (one number in ten or so) or there is no check, a word has to announce the number.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum import verhoeff
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.se import personnummer
from stdnum.us import itin

from collectors.redact.context import EDGE, END, IDENTIFIERS
from collectors.redact.detector import NUMBERS, Category, DataClass, Detector, Match
from collectors.redact.folding import UNUSUAL_DIGITS, folded
from collectors.redact.overlap import without_overlaps


@dataclass(frozen=True)
class NationalId:
    """One kind of number.

    Attributes:
        name: country and what it is called there.
        form: how it is written.
        is_valid: its check, given the text as written.
        words: what announces it.
        alone: where form and check are enough without such a word, what every such number holds, letter case as printed.
        few_digits: whether `NUMBERS` does not see it: a trigger of its own does.
    """

    name: str
    form: str
    is_valid: Callable[[str], bool]
    words: tuple[str, ...]
    alone: str = ""
    few_digits: bool = False


def _is_aadhaar(value: str) -> bool:
    return verhoeff.is_valid(value.replace(" ", ""))


def _is_nino(value: str) -> bool:
    letters = value[:2].upper()
    return letters not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


NATIONAL_IDS = (
    NationalId("Belgium: rijksregisternummer", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", nn.is_valid,
               (r"rijksregister(?:nummer)?", r"registre national", r"national number", r"insz", r"niss"), r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"),
    NationalId("Brazil: CPF", r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}", cpf.is_valid, (r"cpf",), r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    NationalId("Canada: SIN", r"\d{3} \d{3} \d{3}|\d{3}-\d{3}-\d{3}|\d{9}", sin.is_valid, (r"sin\b", r"social insurance", r"assurance sociale")),
    NationalId("Switzerland: AHV", r"756\.\d{4}\.\d{4}\.\d{2}|756\d{10}", ahv.is_valid, (r"ahv", r"avs\b"), r"756\.\d{4}\.\d{4}\.\d{2}"),
    NationalId("China: resident identity card", r"[1-9]\d{5}(?:19|20)\d{9}[\dXx]", ric.is_valid, (r"身份证", r"id card", r"resident id"),
               r"[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9xX]"),
    NationalId("Germany: Steuer-ID", r"\d{11}|\d{2} \d{3} \d{3} \d{3}", idnr.is_valid, (r"steuer[a-zäöü-]{0,32}", r"idnr", r"tax id", r"tin\b")),
    NationalId("Denmark: CPR", r"\d{6}-?\d{4}", cpr.is_valid, (r"cpr", r"personnummer")),
    NationalId("Spain: DNI", r"\d{8}[- ]?[A-Za-z]", dni.is_valid, (r"dni\b", r"nif\b", r"documento nacional", r"identidad"), few_digits=True),
    NationalId("Spain: NIE", r"[XYZxyz][- ]?\d{7}[- ]?[A-Za-z]", nie.is_valid, (r"nie\b", r"extranjero"), r"[XYZ]-?[0-9]{7}-?[A-Z]", few_digits=True),
    NationalId("Finland: henkilötunnus", r"\d{6}[-+A-Fa-fYyXxWwVvUu]\d{3}[0-9A-Za-z]", hetu.is_valid, (r"hetu\b", r"henkilötunnus"), few_digits=True),
    NationalId("France: numéro de sécurité sociale",
               r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[ABab]) ?\d{3} ?\d{3} ?\d{2}", nir.is_valid,
               (r"sécu(?:rité sociale)?", r"secu(?:rite sociale)?", r"nir\b", r"social security"),
               r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", few_digits=True),
    NationalId("United Kingdom: national insurance number", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]", _is_nino,
               (r"nino\b", r"national insurance", r"ni (?:number|no)", r"insurance number"), few_digits=True),
    NationalId("United Kingdom: NHS number", r"\d{3}[ -]?\d{3}[ -]?\d{4}", nhs.is_valid, (r"nhs",)),
    NationalId("India: Aadhaar", r"[2-9]\d{3} ?\d{4} ?\d{4}", _is_aadhaar, (r"aadhaar", r"aadhar", r"uidai")),
    NationalId("Italy: codice fiscale", r"[A-Za-z]{6}[0-9LMNP-Vlmnp-v]{2}[A-EHLMPRSTa-ehlmprst][0-9LMNP-Vlmnp-v]{2}[A-Za-z][0-9LMNP-Vlmnp-v]{3}[A-Za-z]",
               codicefiscale.is_valid, (r"codice ?_?fiscale",), r"[A-Z]{2}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]", few_digits=True),
    NationalId("South Korea: RRN", r"\d{6}-[1-8]\d{6}", rrn.is_valid, (r"주민", r"resident registration", r"rrn\b"), r"[0-9]{2}[01][0-9][0-3][0-9]-[1-8][0-9]{6}"),
    NationalId("Mexico: CURP", r"[A-Za-z]{4}\d{6}[HMhm][A-Za-z]{5}[A-Za-z0-9]\d", curp.is_valid, (r"curp",), r"[A-Z][0-9]{6}[HM][A-Z]{2}", few_digits=True),
    NationalId("Netherlands: BSN", r"\d{9}|\d{4}\.\d{2}\.\d{3}", bsn.is_valid, (r"bsn\b", r"burgerservicenummer", r"sofi")),
    NationalId("Norway: fødselsnummer", r"\d{6} ?\d{5}", fodselsnummer.is_valid, (r"fødselsnummer", r"fodselsnummer", r"personnummer", r"fnr\b")),
    NationalId("Poland: PESEL", r"\d{11}", pesel.is_valid, (r"pesel",)),
    NationalId("Portugal: NIF", r"\d{9}|\d{3} \d{3} \d{3}", nif.is_valid, (r"nif\b", r"contribuinte")),
    NationalId("Sweden: personnummer", r"(?:19|20)?\d{6}[-+]\d{4}", personnummer.is_valid, (r"personnummer", r"person ?nr", r"pnr\b")),
    NationalId("United States: ITIN", r"9\d{2}-\d{2}-\d{4}", itin.is_valid, (r"itin\b", r"tax"), r"9\d{2}-\d{2}-\d{4}"),
)  # fmt: skip


_BOUNDED = f"{EDGE}(?<![.+-])" + "(?:%s)" + END + r"(?![-+]\w|\.\d)"
_GAP = r"[^\w\r\n][^\d\r\n]{0,40}"


def _announced(kind: NationalId) -> re.Pattern[str]:
    words = "|".join(kind.words)
    return re.compile(f"(?<![^\\W_])(?:{words}){_GAP}?(?P<number>{_BOUNDED % kind.form})", re.IGNORECASE)


def _hints(kind: NationalId) -> tuple[str, ...]:
    """What stands, in lower case, in every text in which one of the kind's words does."""
    return tuple(re.split(r"[\\\[(?]", word)[0] for word in kind.words)


_ALONE = tuple((kind, re.compile(kind.alone), re.compile(_BOUNDED % kind.form)) for kind in NATIONAL_IDS if kind.alone)
_DIGITS_FIRST = re.compile(
    "|".join(kind.alone for kind in NATIONAL_IDS if kind.alone and not kind.alone[1:2].isupper())
)
_LETTERS_FIRST = re.compile("|".join(kind.alone for kind in NATIONAL_IDS if kind.alone[1:2].isupper()))
_RUN = re.compile(r"[0-9][0-9 .-]{8,40}")
_ANNOUNCED = tuple((kind, hint, _announced(kind)) for kind in NATIONAL_IDS for hint in _hints(kind))


def _may_stand_alone(text: str) -> bool:
    """Whether there is anything that needs no announcement: forms are tried on what looks like a number only."""
    runs = _RUN.finditer(text)
    return any(_DIGITS_FIRST.search(text, run.start(), run.end() + 1) for run in runs) or bool(
        _LETTERS_FIRST.search(text)
    )


def _find(text: str) -> Iterator[Match]:
    found: list[Match] = []
    if _may_stand_alone(text):
        for kind, held, form in _ALONE:
            if held.search(text):
                found += [
                    Match(*candidate.span())
                    for candidate in form.finditer(text)
                    if held.search(candidate[0])
                    and kind.is_valid(candidate[0])
                    and not IDENTIFIERS.before(text, candidate.start())
                ]
    lowered = text.lower()
    for kind, hint, announced in _ANNOUNCED:
        if hint in lowered:
            found += [
                Match(*candidate.span("number"))
                for candidate in announced.finditer(text)
                if kind.is_valid(candidate["number"])
            ]
    yield from without_overlaps(found)


def _triggers() -> tuple[str, ...]:
    few = [kind for kind in NATIONAL_IDS if kind.few_digits]
    words = "|".join(word.removesuffix(r"\b") for kind in few for word in kind.words)
    # one that begins with a digit has enough of them in a row nearly always
    printed = (f"(?-i:{kind.alone})" for kind in few if kind.alone[1:2].isupper())
    return NUMBERS, f"(?:{words}){_GAP}" + r"\d{2}", *printed, *UNUSUAL_DIGITS


NATIONAL_ID = Detector(
    name="national_id",
    category=Category.PII,
    data_class=DataClass.RESTRICTED,
    triggers=_triggers(),
    find=folded(_find),
    partial=lambda value: "****" + value[-2:],
    priority=65,
)
