"""What a tenant's tables lack of what its logs count, as far as counts and names tell; `verify` reads the records themselves.

Invariant: it asks for no record, and never says that something is missing while a deletion runs, whose rows go before its certificate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from muniment.wiring import CommandContext
from retention.documents import Documents
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.questions.lake_status import missing_tables

NUMBERED: Mapping[str, str] = {"spans": "steps", "audit_events": "events", "logs": "log lines"}
"""What has a record number and stands under a seal, in the words of pages."""
BESIDE: Mapping[str, str] = {"contents": "texts", "metrics": "measurements"}
"""What is kept beside it: texts by their digests in the records, measurements without a number."""


@dataclass(frozen=True)
class Lack:
    """What is missing, in words; `certain` where it is a whole table, else an account that does not come out even."""

    said: str
    certain: bool


def find_lack(context: CommandContext, tenant: str, promised: int, rows: Mapping[str, int]) -> Lack | None:
    """What the tables lack: `promised` records were signed and stored before `rows` of each table were counted.

    Raises:
        UnavailableError: a table's log cannot be read.
    """
    if tables := missing_tables(context.lake):
        words = " and ".join({**NUMBERED, **BESIDE}[name] for name in tables)
        return Lack(f"the table of {words} is missing, with everything that it held", certain=True)
    stored = [each.document for each in Documents(context.lake, context.settings.lake).read()]
    mine = [each for each in stored if each.details.get("tenant") == tenant]
    ended = {each.intent_sha256: each for each in mine if isinstance(each, PurgeCertificate)}
    if len(mine) - sum(isinstance(each, PurgeCertificate) for each in mine) > len(ended):
        return None  # a deletion runs, or waits to be finished
    purged = sum(each.details["rows"].get(table, 0) for each in ended.values() for table in NUMBERED)
    lost = promised - purged - sum(rows.get(table, 0) for table in NUMBERED)
    if lost <= 0:
        return None
    said = f"{lost:,} of {promised:,} sealed records are not in the tables, and no certificate accounts for them"
    return Lack(said, certain=False)
