"""Lists the certificates of a lake, of purges and of destroyed keys, and the intents that have none yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.access import Action
from muniment.retaining import check_tenant
from muniment.wiring import CommandContext
from retention.documents import Documents, StoredDocument
from warehouse.clock import utc_text
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.ledger.key_destruction import KeyDestruction

KEY = "key destroyed"
"""What a listing calls the certificate of a destroyed subject key."""
_SHOWN_DIGITS = 12
_SECONDS = len("2026-11-25T00:00:00")


@dataclass(frozen=True)
class Listed:
    """A certificate, or an intent that has none yet."""

    stored: StoredDocument
    finished: bool

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        document = self.stored.document
        return {
            "sha256": self.stored.sha256,
            "file": str(self.stored.file),
            "finished": self.finished,
            "purge_id": document.purge_id,
            "tenant": document.details["tenant"],
            "kind": document.details.get("kind"),
            "time_unix_nano": int(document.time_unix_nano),
            "rows": document.details["rows"],
            "ordered_by": document.ordered_by,
            "approved_by": document.approved_by,
        }

    def cells(self) -> tuple[str, ...]:
        """For a table: time, tenant, what, rows, who ordered and approved, as much of the SHA-256 as names one."""
        document = self.stored.document
        rows = ", ".join(f"{count:,} {table}" for table, count in sorted(document.details["rows"].items()))
        what = str(document.details.get("kind")) if self.finished else "not finished"
        return (
            utc_text(int(document.time_unix_nano))[:_SECONDS],
            document.details["tenant"],
            what,
            rows,
            document.ordered_by,
            document.approved_by or "",
            self.stored.sha256[:_SHOWN_DIGITS],
        )


@dataclass(frozen=True)
class ListedKey:
    """The certificate of a destroyed subject key."""

    document: KeyDestruction
    file: Path

    def to_json(self) -> dict[str, Any]:
        """For machines: the fields of the others, and the key's id."""
        return {
            "sha256": self.file.name,
            "file": str(self.file),
            "finished": True,
            "purge_id": None,
            "tenant": self.document.tenant,
            "kind": KEY,
            "time_unix_nano": int(self.document.destroyed_unix_nano),
            "rows": {},
            "key_id": self.document.key_id,
            "ordered_by": self.document.ordered_by,
            "approved_by": self.document.approved_by,
        }

    def cells(self) -> tuple[str, ...]:
        """For a table, as the others'."""
        document = self.document
        return (
            utc_text(int(document.destroyed_unix_nano))[:_SECONDS],
            document.tenant,
            KEY,
            "",
            document.ordered_by,
            document.approved_by or "",
            self.file.name[:_SHOWN_DIGITS],
        )


def list_keys(context: CommandContext, tenant: str | None) -> list[ListedKey]:
    """Certificates of destroyed subject keys, of a tenant or of all, oldest first.

    Raises:
        As `list_documents`.
    """
    context.check(Action.RETENTION_PLAN, tenant)
    check_tenant(context, tenant)
    documents = Documents(context.lake, context.settings.lake)
    found = [ListedKey(each, file) for each, file in documents.destructions() if tenant in {None, each.tenant}]
    return sorted(found, key=lambda each: int(each.document.destroyed_unix_nano))


def list_documents(context: CommandContext, tenant: str | None) -> list[Listed]:
    """Certificates, and intents that have none yet, of a tenant or of all, oldest first.

    Raises:
        DeniedError: the principal may not plan.
        NotFoundError: there is no such tenant.
    """
    context.check(Action.RETENTION_PLAN, tenant)
    check_tenant(context, tenant)
    stored = list(Documents(context.lake, context.settings.lake).read())
    ended = {each.document.intent_sha256 for each in stored if isinstance(each.document, PurgeCertificate)}
    found = [
        Listed(each, isinstance(each.document, PurgeCertificate))
        for each in stored
        if each.sha256 not in ended and tenant in {None, each.document.details["tenant"]}
    ]
    return sorted(found, key=lambda each: int(each.stored.document.time_unix_nano))
