"""Invented people with data that looks personal: names, e-mails, phone numbers, IBANs with valid check digits, health notes.

No value can belong to anybody: e-mail domains are those of RFC 2606, phone numbers lie in ranges that Ofcom and the
Bundesnetzagentur keep for fiction, bank codes are invented. Each value that a scenario reads is noted as planted, so
that a later search for its absence knows what to search for.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from muniment.demo.fleet import HALDEN, NORTHWIND, TENANTS, Tenant

_FIRST = (
    "Amara", "Anselm", "Beatriz", "Birgit", "Caspian", "Clara", "Dagmar", "Dimitri", "Edwina", "Elias", "Farida",
    "Florian", "Greta", "Gustav", "Hanneke", "Henrik", "Imogen", "Ismail", "Jolanta", "Jasper", "Katarina", "Kofi",
    "Leonie", "Lucian", "Magda", "Mattias", "Nadia", "Niklas", "Odile", "Oskar", "Philippa", "Quentin", "Rosalind",
    "Rufus", "Saskia", "Silvan", "Theodora", "Tobias", "Ursula", "Valentin",
)  # fmt: skip
_LAST = (
    "Abendroth", "Ashdown", "Birkenfeld", "Blackwood", "Castellane", "Crowhurst", "Dunmore", "Eschenbach", "Fairweather",
    "Falkenrath", "Greenhalgh", "Grunewald", "Hollingbourne", "Hartwig", "Ingleby", "Jankowski", "Kestrel", "Kirchhoff",
    "Lindqvist", "Lorimer", "Merriweather", "Moltzahn", "Nightingale", "Nordahl", "Okonjo", "Ostermann", "Pemberton",
    "Quarrington", "Ravensdale", "Reinholt", "Silverthorne", "Steinbach", "Thistlewood", "Tannhauser", "Underhay",
    "Vanterpool", "Wetherby", "Winterfeld", "Yarborough", "Zellweger",
)  # fmt: skip
_COMPLAINTS = (
    "recurring migraine with aura", "type 2 diabetes, HbA1c 8.1 %", "asthma, two attacks last month",
    "depressive episode, on sertraline 50 mg", "hypertension, 162/98 mmHg at home", "suspected coeliac disease",
    "Crohn's disease, flare since spring", "atrial fibrillation, on apixaban", "psoriasis on both elbows",
    "pregnancy, week 22, gestational diabetes", "chronic back pain after disc prolapse", "hypothyroidism, TSH 9.4 mU/l",
)  # fmt: skip
_CONTEXTS = (
    "symptoms since {weeks} weeks", "mother had the same at {age}", "allergic to penicillin, {weeks} weeks off work",
    "last admission {weeks} weeks ago", "smoker until the age of {age}", "was told at {age} to avoid ibuprofen",
)  # fmt: skip

POPULATION = 240
"""Customers, patients or clients of each tenant."""
EMPLOYEES = 60
"""Employees of each tenant who write to its internal agents."""


@dataclass(frozen=True)
class Person:
    """One invented person."""

    id: str
    name: str
    email: str
    phone: str
    iban: str
    health_note: str


@dataclass
class Planted:
    """Values that went into records: by tenant, then by category, in order of first use."""

    values: dict[str, dict[str, dict[str, None]]] = field(default_factory=dict)

    def note(self, tenant: str, category: str, value: str) -> str:
        """Note `value` as planted and return it."""
        self.values.setdefault(tenant, {}).setdefault(category, {})[value] = None
        return value

    def as_lists(self) -> dict[str, dict[str, list[str]]]:
        """The same as JSON wants it."""
        return {tenant: {name: list(found) for name, found in by.items()} for tenant, by in self.values.items()}


class Subject:
    """A person as a scenario sees one: reading a value notes it as planted."""

    def __init__(self, person: Person, tenant: str, planted: Planted) -> None:
        self._person = person
        self._tenant = tenant
        self._planted = planted

    def _plant(self, category: str, value: str) -> str:
        return self._planted.note(self._tenant, category, value)

    @property
    def id(self) -> str:
        """Pseudonymous number of the person, such as `cus-00042`."""
        return self._plant("person_id", self._person.id)

    @property
    def name(self) -> str:
        """First and last name."""
        return self._plant("name", self._person.name)

    @property
    def email(self) -> str:
        """E-mail address."""
        return self._plant("email", self._person.email)

    @property
    def phone(self) -> str:
        """Phone number in international form."""
        return self._plant("phone", self._person.phone)

    @property
    def iban(self) -> str:
        """IBAN, compact or in groups of four, as this person writes it."""
        return self._plant("iban", self._person.iban)

    @property
    def health_note(self) -> str:
        """A sentence about the person's health."""
        return self._plant("health_note", self._person.health_note)


def iban(country: str, bban: str) -> str:
    """Return the IBAN of a basic account number, with check digits after ISO 13616 / ISO 7064 MOD 97-10."""
    digits = "".join(str(int(character, 36)) for character in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"


def _bban(rng: random.Random, country: str) -> str:
    """A basic account number with an invented bank code: German ones are 18 digits, British begin with four letters."""
    if country == "DE":
        return f"999{rng.randrange(10**15):015d}"
    return f"ZZNW{rng.randrange(10**14):014d}"


def _phone(rng: random.Random, tenant: Tenant) -> str:
    if tenant.id == NORTHWIND:
        return f"+44 7700 900{rng.randrange(1000):03d}"
    if tenant.id == HALDEN:
        return f"+49 30 23125{rng.randrange(1000):03d}"
    return f"+44 20 7946 0{rng.randrange(1000):03d}"


def _people(rng: random.Random, tenant: Tenant, prefix: str, number_of: int, domain: str | None) -> Iterator[Person]:
    """People numbered from 0; `domain` is that of their e-mail, else one of RFC 2606."""
    for number in range(number_of):
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        account = iban(tenant.country, _bban(rng, tenant.country))
        if number % 3 == 0:
            account = " ".join(account[at : at + 4] for at in range(0, len(account), 4))
        context = rng.choice(_CONTEXTS).format(weeks=rng.randrange(2, 30), age=rng.randrange(18, 70))
        yield Person(
            id=f"{prefix}-{number:05d}",
            name=f"{first} {last}",
            email=f"{first}.{last}{number}@{domain or rng.choice(('example.com', 'example.net', 'example.org'))}".lower(),
            phone=_phone(rng, tenant),
            iban=account,
            health_note=f"{rng.choice(_COMPLAINTS)}; {context}",
        )


class Population:
    """Everybody the agents deal with, and which of their data was planted."""

    def __init__(self, seed: int) -> None:
        self.planted = Planted()
        self._outside: dict[str, tuple[Person, ...]] = {}
        self._employees: dict[str, tuple[Person, ...]] = {}
        for tenant in TENANTS:
            rng = random.Random(f"people/{seed}/{tenant.id}")  # noqa: S311 - a simulation, and it must repeat
            prefix = {NORTHWIND: "cus", HALDEN: "pat"}.get(tenant.id, "cli")
            self._outside[tenant.id] = tuple(_people(rng, tenant, prefix, POPULATION, None))
            self._employees[tenant.id] = tuple(_people(rng, tenant, "emp", EMPLOYEES, tenant.domain))

    def pick(self, rng: random.Random, tenant: str) -> Subject:
        """A customer, patient or client of the tenant."""
        return Subject(rng.choice(self._outside[tenant]), tenant, self.planted)

    def employee(self, rng: random.Random, tenant: str) -> Subject:
        """An employee of the tenant."""
        return Subject(rng.choice(self._employees[tenant]), tenant, self.planted)

    def staff(self, tenant: Tenant, login: str) -> str:
        """The e-mail address of an employee, noted as planted."""
        return self.planted.note(tenant.id, "staff_email", f"{login}@{tenant.domain}")
