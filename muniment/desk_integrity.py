"""What *Integrity* shows: logs and their heads, witnesses, when nobody listened, and what a proof that somebody brings says."""

from collections.abc import Sequence

from dashboards.desk import CheckedProof, Integrity, LogHead, Silence
from governance.evidence.sealed import fingerprint, parse_vkey
from muniment.lacking import find_lack
from muniment.proving import log_states, promised_records, public_keys
from muniment.wiring import CommandContext
from muniment.witness_rounds import witness_status
from warehouse.errors import MunimentError
from warehouse.ledger.proof_report import check_proof
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.names import LAKE_TENANT
from warehouse.questions.audit_events import EVENT_TABLES
from warehouse.questions.lake_status import table_status
from warehouse.questions.listening import heard, silences


def read_integrity(context: CommandContext, tenant: str) -> Integrity:
    """The seals of a tenant's records as they are now.

    Raises:
        DeniedError: the principal may not see when nobody listened.
        UnavailableError: the lake cannot be read.
    """
    # When nobody listened concerns every tenant, and is all that is taken from the lake's own log here.
    with context.session([LAKE_TENANT], tables=EVENT_TABLES) as session:
        found, listened = silences(session), heard(session)
    keys = tuple(key.vkey for key in public_keys(context, tenant))
    promised = promised_records(context, tenant)  # before the tables, which then hold at least as many
    rows = {row.table: row.rows for row in table_status(context.lake, {tenant})}
    lack = find_lack(context, tenant, promised, rows)
    return Integrity(
        tuple(
            LogHead(log.origin, log.size, log.root, tuple(log.signed_by), log.grown_unix_nano, log.problem)
            for log in log_states(context, tenant)
        ),
        keys,
        tuple((each.name, each.last_cosigned_unix_nano) for each in witness_status(context.lake, context.settings)),
        tuple(
            Silence(gap.collector, gap.first_unix_nano, gap.last_unix_nano, gap.ending.value == "stopped")
            for gap in found
        ),
        tuple(fingerprint(parse_vkey(key)[1]) for key in keys),
        listened,
        "" if lack is None else lack.said,
    )


def checked(proof: bytes, vkeys: Sequence[str]) -> CheckedProof:
    """What a proof says under these keys; nothing of the lake is read."""
    try:
        report = check_proof(TlogProof.parse(proof), vkeys=vkeys)
    except MunimentError as exc:
        return CheckedProof(holds=False, lines=(str(exc), *(() if exc.hint is None else (exc.hint,))))
    return CheckedProof(holds=True, lines=tuple(report.lines()))
