"""Texts in which it is known where personal data stands: a labelled set of others, read in place, and a generated one.

The generated set comes from a seed: values from Faker in seven locales, sentences of our own in the way people write to agents and
agents write to tools. Neither the sentences nor any name of the labelled set is known to the detectors.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faker import Faker

LABELLED = Path("pii") / "synth_dataset_v2.json"
LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL")
TYPES_OF_LABELS = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PERSON": "person",
    "PHONE_NUMBER": "phone",
    "STREET_ADDRESS": "address",
    "US_SSN": "ssn",
}
"""The labels that detectors look for. The set does not label dates of birth as such, nor secrets and national ids of our kinds."""

_SENTENCES = {
    "en": (
        "My name is {person} and my phone is {phone}.",
        "Please refund card {card}, the customer is {person} ({email}).",
        "Update the contact record: {person}, {address}, tel. {phone}",
        "SSN on file: {ssn}. Do not show it to anyone.",
        "Wire the deposit to {iban} before Friday.",
        "Blocked 14 requests from {ip} within a minute",
        "{person} wrote: the courier never came to {address}.",
        "Dear {person},\nyour card {card} expires soon.\nRegards,\nBilling",
        "Ship to: {address}. Call {phone} on arrival.",
        '{{"customer_name": "{person}", "email": "{email}", "phone": "{phone}"}}',
        'lookup_customer(email="{email}", limit=5) returned 1 row in 0.31 s',
        "The user {email} logged in from {ip}; trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "Tool result: 3 invoices, 2 paid, total 1,284.50 EUR; model gpt-4.1-mini-2025-04-14, 812 input tokens",
        "Agent finished at 2025-04-14T10:22:33.123456Z after 4 steps, call_4hF2kLmN8pQrStUvWxYz0123 was retried",
        "Payment of 99.90 declined for {card} (3-D Secure), retry with another card",
        "We moved to {address} last month, please correct the invoice.",
        "You can reach me at {phone} or {email}.",
        "His social security number is {ssn}.",
        "Account holder: {person}\nIBAN: {iban}",
        "X-Forwarded-For: {ip}",
        "Best regards,\n{person}\n{address}\n{phone}",
    ),
    "de": (
        "Ich heiße {person}, meine Telefonnummer ist {phone}.",
        "Bitte an {address} liefern.",
        "Sehr geehrte Damen und Herren, meine IBAN lautet {iban}.\nMit freundlichen Grüßen\n{person}",
        "Kunde {email}, Tel.: {phone}, Kreditkarte {card}",
    ),
    "fr": (
        "Je m'appelle {person}, mon téléphone est le {phone}.",
        "Merci de livrer au {address}.",
        "Mon IBAN : {iban}, mon adresse e-mail : {email}",
    ),
    "es": (
        "Me llamo {person} y mi teléfono es {phone}.",
        "La dirección de entrega es {address}.",
        "Cobrar a la tarjeta {card}; correo {email}",
    ),
    "it": ("Mi chiamo {person}, il mio telefono è {phone}.", "Spedire a {address}.", "Bonifico su {iban}, ricevuta a {email}"),
    "nl": ("Ik heet {person}, mijn telefoonnummer is {phone}.", "Bezorgen op {address}.", "Betaal op rekening {iban}, mail {email}"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entity:
    """Characters `start` to `end` of a text are of this type."""

    type: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A text and what is in it."""

    text: str
    entities: tuple[Entity, ...]


def corpus_folder() -> Path:
    """Where the data of others lies: `$MUNIMENT_CORPUS`, else beside the repository."""
    named = os.environ.get("MUNIMENT_CORPUS")
    return Path(named) if named else Path(__file__).resolve().parents[1].parent / "shared" / "data"


def labelled() -> list[Sample] | None:
    """The labelled set, None where it is not there."""
    file = corpus_folder() / LABELLED
    if not file.exists():
        return None
    return [
        Sample(
            record["full_text"],
            tuple(
                Entity(TYPES_OF_LABELS[span["entity_type"]], span["start_position"], span["end_position"])
                for span in record["spans"]
                if span["entity_type"] in TYPES_OF_LABELS
            ),
        )
        for record in json.loads(file.read_text(encoding="utf8"))
    ]


def generated(count: int, seed: int = 11) -> list[Sample]:
    """`count` texts, half of them in English with values of any locale."""
    draw = random.Random(seed)
    fakers = {locale: Faker(locale) for locale in LOCALES}
    for number, faker in enumerate(fakers.values()):
        faker.seed_instance(seed + number)
    return list(_generate(count, draw, fakers))


def _generate(count: int, draw: random.Random, fakers: dict[str, Faker]) -> Iterator[Sample]:
    for _ in range(count):
        locale = draw.choice(LOCALES)
        language = "en" if draw.random() < 0.5 else locale.partition("_")[0]
        yield _filled(draw.choice(_SENTENCES[language]), _values(fakers[locale], fakers["en_US"], draw))


def _values(faker: Faker, american: Faker, draw: random.Random) -> dict[str, Callable[[], str]]:
    return {
        "person": lambda: f"{faker.first_name()} {faker.last_name()}",
        "address": lambda: faker.address() if draw.random() < 0.5 else faker.street_address(),
        "phone": faker.phone_number,
        "email": faker.email,
        "card": lambda: _grouped(faker.credit_card_number(), draw),
        "iban": faker.iban,
        "ssn": american.ssn,
        "ip": lambda: faker.ipv4_public() if draw.random() < 0.6 else faker.ipv6(),
    }


def _grouped(card: str, draw: random.Random) -> str:
    separator = draw.choice(("", "", " ", "-"))
    return separator.join(card[at : at + 4] for at in range(0, 16, 4)) if len(card) == 16 else card


def _filled(sentence: str, values: dict[str, Callable[[], str]]) -> Sample:
    text, entities = "", []
    rest = sentence.replace("{{", "\0").replace("}}", "\1")
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        text += before
        value = values[name]()
        entities.append(Entity(name, len(text), len(text) + len(value)))
        text += value
    text += rest
    return Sample(text.replace("\0", "{").replace("\1", "}"), tuple(entities))
