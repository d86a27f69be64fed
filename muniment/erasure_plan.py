"""Whom an erasure is about, and what it would do now: found, and told apart from what stays. Deletes nothing."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from governance.access import Action
from muniment.pack_erasure import packs_naming
from muniment.retaining import read_holds, read_retention_policy
from muniment.wiring import CommandContext
from retention.erasure import Erasure, FoundFile, Staying, decide
from retention.holds import holds_of
from retention.subject_finds import SubjectTerms
from retention.subject_matching import ascii_lower, spellings_of
from retention.subject_search import search_subject
from warehouse.errors import CorruptionError, InputError, NotFoundError
from warehouse.quarantine import entries_with
from warehouse.subjects import is_token, normal_form


@dataclass(frozen=True)
class Person:
    """Whom an erasure is about: the token, and the value where the vault knows it or somebody gave it."""

    tenant: str
    token: str
    value: str | None
    texts: bool = False

    @property
    def words(self) -> list[str]:
        """What identity columns are asked for, as a whole."""
        return [self.token] if self.value is None else [self.token, self.value]

    @property
    def words_in_texts(self) -> list[str]:
        """What is looked for within texts, whatever the case of ASCII letters: the token, and the value in each of its spellings.

        A value such as `42` or `alice` means others there too, so it is left out unless somebody orders it.
        """
        if self.value is None or not (self.texts or "@" in self.value):
            return [self.token]
        # the value as it was given comes first and stands for those that differ in the case of ASCII letters alone
        by_letters = {ascii_lower(form): form for form in reversed((self.value, *spellings_of(self.value)))}
        return [self.token, *reversed(by_letters.values())]


@dataclass(frozen=True)
class ErasurePlan:
    """What an erasure would do now."""

    person: Person
    erasure: Erasure
    quarantine: int
    packs: tuple[str, ...] = ()
    """Stored packs that name the person."""

    def to_json(self) -> dict[str, Any]:
        """For machines, without the person."""
        return {
            "tenant": self.person.tenant,
            "rows_going": self.erasure.rows_going,
            "files": len(self.erasure.going),
            "staying": msgspec.to_builtins(self.erasure.staying),
            "quarantine_entries": self.quarantine,
            "packs": list(self.packs),
            "key_destroyed": not self.erasure.keeps_key,
        }


def find_person(context: CommandContext, tenant: str, subject: str, *, texts: bool = False) -> Person:
    """Who is meant by a token, or by a value that records name; the latter gets its token where it has none.

    Raises:
        DeniedError: the principal may not erase.
        NotFoundError: no such tenant, or a token that the vault does not know.
    """
    context.check(Action.SUBJECT_ERASE, tenant)
    context.control.tenant(tenant)
    if is_token(subject):
        if not context.vault.known(tenant, [subject]):
            raise NotFoundError(
                f"--subject: expected a token of tenant {tenant}, got one that the vault does not know",
                hint="another tenant's, or its key was destroyed: then nothing can be found by it any more; give the value instead",
            )
        return Person(tenant, subject, value_of(context, tenant, subject), texts)
    value = normal_form(subject)
    if not value:
        raise InputError("--subject: expected a token or a value, got nothing")
    return Person(tenant, context.vault.tokens(tenant, [value])[0], value, texts)


def plan_erasure(context: CommandContext, person: Person) -> ErasurePlan:
    """What erasing a person would do now; deletes nothing.

    Raises:
        DeniedError: the principal may not erase.
        UnavailableError: the lake cannot be read.
    """
    context.check(Action.SUBJECT_ERASE, person.tenant)
    found = find_rows(context, person)
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    erasure = decide(context.lake, policy, holds, context.clock(), found)
    erasure = _with_holds(erasure, holds_naming(context, person.tenant, person.token))
    refused = len(entries_with(context.lake, person.tenant, person.words_in_texts))
    return ErasurePlan(person, erasure, refused)


def foresee_erasure(context: CommandContext, person: Person) -> ErasurePlan:
    """The same, with the stored packs that name the person.

    Raises:
        As `plan_erasure`.
    """
    plan = plan_erasure(context, person)
    return replace(plan, packs=tuple(packs_naming(context, person.tenant, person.words_in_texts)))


def holds_naming(context: CommandContext, tenant: str, token: str) -> list[str]:
    """Ids of the holds in force that name a person: what they keep may still be to come, so the person's key stays."""
    return [hold.id for hold in holds_of(context.control.list_holds(tenant), tenant) if token in hold.scope.subjects]


def _with_holds(erasure: Erasure, holds: list[str]) -> Erasure:
    """The same erasure, in which each of these holds is named, where it keeps no row yet too."""
    named = {each.name for each in erasure.staying if each.by == "hold"}
    more = [Staying("hold", hold, "records to come", 0, "", "") for hold in holds if hold not in named]
    return replace(erasure, staying=(*erasure.staying, *more))


def find_rows(context: CommandContext, person: Person) -> list[FoundFile]:
    """The rows in which a person is found now.

    Raises:
        UnavailableError: the lake cannot be read.
    """
    terms = SubjectTerms.of(person.words)
    return search_subject(context.lake, person.tenant, terms, texts=person.texts).found_files


def value_of(context: CommandContext, tenant: str, token: str) -> str | None:
    """The value behind a token; None where the vault does not know it or cannot read it."""
    try:
        return context.vault.reveal(tenant, token)
    except (CorruptionError, NotFoundError):
        return None
