"""Packs and erasures: stored packs that name an erased person, or hold records that were erased, go; what stays is named with why.

A pack goes when it holds a record that an erasure deleted, or names the person though nothing that names them stays. It stays while
a hold of the tenant is in force (what a hold is about may be in each pack), and where it names the person only as records do that a
law, or their being evidence, keeps. A deletion is recorded before the file goes; the pack can be built again from what is left.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from muniment.erasure_notes import Note
from muniment.wiring import CommandContext
from retention.documents import Documents
from retention.erasure import Staying
from warehouse.durable import sync_folder
from warehouse.ledger.certificates import PurgeCertificate, PurgedIndices
from warehouse.packs import PACK_NAME, pack_files, pack_holds_records, pack_names_words

TABLE = "packs"
"""What a line about packs says in place of a table."""


@dataclass(frozen=True)
class PacksErased:
    """Packs that went, by name, and those that stay and why."""

    deleted: tuple[str, ...] = ()
    staying: tuple[Staying, ...] = ()

    @property
    def are_held(self) -> bool:
        """Whether a hold keeps one that goes once it is released."""
        return any(each.by == "hold" for each in self.staying)


def packs_naming(context: CommandContext, tenant: str, words: Collection[str]) -> list[str]:
    """Names of the tenant's packs that name a person by one of these words.

    Raises:
        UnavailableError: a pack cannot be read.
    """
    return [file.name for file in pack_files(context.lake, tenant) if pack_names_words(file, words)]


def erase_packs(context: CommandContext, note: Note, words: Collection[str], staying: Sequence[Staying]) -> PacksErased:
    """Delete the packs that go with an erasure; safe to repeat. `staying` are the rows that stay.

    Raises:
        UnavailableError: a pack cannot be read, or a deletion not be recorded: the pack stays.
    """
    records = _erased_records(context, note)
    holds = ", ".join(sorted(hold.id for hold in context.control.list_holds(note.tenant)))
    deleted, kept = [], []
    for file in pack_files(context.lake, note.tenant):
        names = pack_names_words(file, words)
        goes = pack_holds_records(file, records) or (names and not any(each.rows for each in staying))
        if not goes and not names:
            continue
        if goes and not holds:
            delete_pack(context, note.tenant, file, {"muniment.erasure": note.id})
            deleted.append(file.name)
        else:
            why = ("hold", holds) if goes else _why(staying)
            kept.append(Staying(why[0], why[1], TABLE, 1, _month(file), _month(file), file.name))
    return PacksErased(tuple(deleted), tuple(kept))


def delete_pack(context: CommandContext, tenant: str, file: Path, attributes: dict[str, str]) -> None:
    """Delete a pack; recorded as `retention.purged` first.

    Raises:
        UnavailableError: it cannot be recorded; the pack stays.
    """
    context.record(
        "retention.purged",
        tenant,
        action="delete",
        resource_type="pack",
        resource_id=f"{tenant}/{file.name}",
        attributes=attributes | {"muniment.pack.sha256": sha256(file.read_bytes()).hexdigest()},
    )
    file.unlink()
    sync_folder(file.parent)


def _erased_records(context: CommandContext, note: Note) -> dict[str, PurgedIndices]:
    """What this erasure deleted in all its runs, those that a crash cut off too, by log."""
    certificates = [
        each.document
        for each in Documents(context.lake, context.settings.lake).read()
        if isinstance(each.document, PurgeCertificate) and each.document.details.get("erasure") == note.id
    ]
    shards = sorted({run.shard for document in certificates for run in document.deleted.runs})
    return {shard: PurgedIndices.of_log(certificates, tenant=note.tenant, shard=shard) for shard in shards}


def _why(staying: Sequence[Staying]) -> tuple[str, str]:
    """By what the records stay that the pack names: the strongest of their reasons."""
    order = ("hold", "minimum", "evidence")
    first = min(staying, key=lambda each: order.index(each.by) if each.by in order else len(order))
    return first.by, first.name


def _month(file: Path) -> str:
    found = PACK_NAME.fullmatch(file.name)
    return f"{found[2]}-{found[3]}" if found else ""
