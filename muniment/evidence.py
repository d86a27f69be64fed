"""Builds and verifies evidence packs for a principal: gathered, proved, recorded as an export, and only then put in place."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from governance.access import Action
from governance.controls.framework import Controls
from governance.evidence.assessment import Assessed, assess
from governance.evidence.files import Ground, Place, manifest_of, note_text, pack_files, proof_places
from governance.evidence.grounds import losses_of, losses_text
from governance.evidence.sealed import fingerprint, parse_vkey
from governance.evidence.standalone import MANIFEST, NOTE, Verdict, canonical_zip, verify_pack
from muniment.assessing import check_period, find_framework, read_controls
from muniment.certificates import list_documents
from muniment.handing_out import check_whole, tables_of
from muniment.holding import scope_json
from muniment.retaining import check_tenant
from muniment.wiring import CommandContext
from muniment.witness_rounds import read_endpoints, witness_status
from retention.documents import Documents
from retention.holds import read_scope
from warehouse.clock import utc_text
from warehouse.durable import staged_file
from warehouse.errors import InputError, UnavailableError
from warehouse.ledger.listening import STARTED
from warehouse.ledger.note import Ed25519Signer, sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import VerifyOptions, verify_lake
from warehouse.names import LAKE_TENANT
from warehouse.query import QuerySession
from warehouse.questions.bulk_proofs import prove_rows
from warehouse.questions.proof import PROVABLE_TABLES, ProvableLog, list_logs
from warehouse.questions.witnessed import Witnessed, find_witnessed

Step = Callable[[str], None]
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class BuiltPack:
    """A pack in its place: SHA-256 of the file, the findings, what could not be proved, and what of its records does not fit, in words."""

    file: Path
    sha256: str
    assessed: Assessed
    problems: tuple[str, ...]
    losses: str = ""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "findings": self.assessed.to_json()["controls"],
            "problems": list(self.problems),
            "losses": self.losses,
        }


def build_pack(
    context: CommandContext,
    *,
    framework: str,
    tenant: str,
    from_unix_nano: int,
    to_unix_nano: int,
    out: Path,
    force: bool = False,
    thorough: bool = False,
    step: Step = lambda _text: None,
) -> BuiltPack:
    """Build the pack of a framework, tenant and period `[from, to)`; recorded as `data.exported` before it is put in place.

    Every record number is accounted for and every audit event checked against its seal; `thorough` checks spans, logs and contents
    too, which takes some 30 µs a record.

    Raises:
        DeniedError: the principal may not export the tenant's records, or not read all of them.
        InputError: the period is empty, the file is there, or the tenant has no sealed record.
        NotFoundError: no such tenant or framework.
        UnavailableError: the lake cannot be read, the export cannot be recorded, or records were deleted meanwhile.
    """
    context.check(Action.RECORDS_EXPORT, tenant)
    check_tenant(context, tenant)
    check_period((from_unix_nano, to_unix_nano))
    if out.exists() and not force:
        raise InputError(
            f"{out}: expected a name that is free, got a file", hint="name another with --out, or add --force"
        )
    controls = read_controls(context)
    chosen = find_framework(controls, framework)
    check_whole(context, tenant, tables_of(chosen) | set(PROVABLE_TABLES), "an evidence pack")
    deletions = _documents(context)
    with context.session([tenant]) as session:
        assessed = assess(
            session,
            chosen,
            from_unix_nano=from_unix_nano,
            to_unix_nano=to_unix_nano,
            as_of_unix_nano=_newest(session),
            step=step,
        )
        step("accounting for every record")
        # one reading of the logs for everything: a pack holds one head of each, and every proof leads to it
        logs = list_logs(context.lake, tenant)
        ground = _ground(context, session, controls, tenant, (from_unix_nano, to_unix_nano), logs, thorough=thorough)
        step("proving the samples")
        proofs, problems = _prove(session, logs, proof_places(assessed, ground.seed))
    step("writing the report")
    files = pack_files(assessed, ground, proofs, problems)
    manifest = manifest_of(assessed, ground, files)
    signers = _signers(context, ground.as_of_unix_nano)
    files |= {MANIFEST: manifest, NOTE: sign_note(note_text(manifest), signers)}
    content = canonical_zip(files)
    digest = sha256(content).hexdigest()
    with staged_file(out.absolute(), content):
        context.record(
            "data.exported",
            tenant,
            action="evidence",
            resource_type="pack",
            resource_id=f"{framework}/{from_unix_nano}/{to_unix_nano}",
            attributes={"muniment.pack.sha256": digest, "muniment.pack.controls": controls.content_hash},
        )
    if _documents(context) != deletions:
        # in its place an erasure finds a pack, before it does not: so what was deleted is looked for after
        out.unlink(missing_ok=True)
        raise UnavailableError(
            f"{out}: records were deleted while the pack was built: expected the same records from beginning to end",
            hint="build it again",
        )
    said = tuple(f"{place}: {why}" for place, why in sorted(problems.items()))
    return BuiltPack(out, digest, assessed, said, losses_text(losses_of(dict(ground.completeness))))


def _documents(context: CommandContext) -> frozenset[str]:
    """Which intents and certificates of deletions there are."""
    return frozenset(each.sha256 for each in Documents(context.lake, context.settings.lake).read())


def check_pack(
    file: Path, vkeys: Sequence[str], fingerprints: Sequence[str], witness_keys: Sequence[str] = ()
) -> Verdict:
    """Verify a pack offline: the same as the program that lies in it.

    Raises:
        InputError: there is no such file.
    """
    if not file.is_file():
        raise InputError(f"{file}: expected an evidence pack, got no file")
    return verify_pack(file, vkeys, fingerprints, witness_keys)


def _ground(
    context: CommandContext,
    session: QuerySession,
    controls: Controls,
    tenant: str,
    period: tuple[int, int],
    logs: Sequence[ProvableLog],
    *,
    thorough: bool,
) -> Ground:
    first, last = period
    if not logs:
        raise InputError(f"tenant {tenant}: no record has been sealed yet, so there is no evidence")
    keys = read_signing_keys(context.lake.keys)
    as_of = _newest(session)
    return Ground(
        lake=context.settings.lake,
        tenant=tenant,
        from_unix_nano=first,
        to_unix_nano=last,
        as_of_unix_nano=as_of,
        policy_hash=controls.content_hash,
        vkeys=tuple(verifier.vkey for verifier in keys.verifiers(context.settings.lake)),
        signers=tuple(fingerprint(parse_vkey(each.verifier.vkey)[1]) for each in _signers(context, as_of)),
        witnesses=tuple(
            (each.name, each.last_cosigned_unix_nano) for each in witness_status(context.lake, context.settings)
        ),
        witnessed=_witnessed(context, logs),
        completeness=_completeness(context, tenant, first, last, {log.shard for log in logs}, thorough=thorough),
        checkpoints={log.shard: log.note for log in logs},
        certificates={
            each.stored.sha256: each.stored.file.read_bytes()
            for each in list_documents(context, tenant)
            if each.finished
        },
        holds=tuple(
            {
                "id": hold.id,
                "reason": hold.reason,
                "owner": hold.owner,
                "scope": scope_json(read_scope(hold.scope)),
                "placed_unix_nano": hold.placed_unix_nano,
            }
            for hold in context.control.list_holds(tenant)
        ),
    )


def _signers(context: CommandContext, unix_nano: int) -> list[Ed25519Signer]:
    """Who signs the pack."""
    return read_signing_keys(context.lake.keys).signers(
        f"{context.settings.lake}/evidence", max(unix_nano, context.clock())
    )


def _newest(session: QuerySession) -> int:
    """Receipt of the newest record: the time that everything in a pack bears."""
    found = session.run_trusted(
        "select max(received_unix_nano) from (select received_unix_nano from spans union all "
        "select received_unix_nano from audit_events union all select received_unix_nano from logs)"
    )
    return int(found.column(0)[0].as_py() or 0)


def _completeness(
    context: CommandContext, tenant: str, first: int, last: int, shards: Collection[str], *, thorough: bool
) -> dict[str, Any]:
    """Every record number accounted for, and records held against their seals, now; and the times of the period when nobody listened."""
    report = verify_lake(
        context.lake, lake_name=context.settings.lake, tenants=[tenant], options=VerifyOptions(by_number=not thorough)
    ).to_json()
    kept = ("shard", "size", "present", "purged", "missing", "altered", "findings")
    since = _listening_since(context)
    begins, ends = utc_text(first), utc_text(last)
    return {
        "result": report["result"],
        "checked": "every record" if thorough else "audit events",
        "logs": [
            {name: log[name] for name in kept}
            for log in report["logs"]
            if log["tenant"] == tenant and log["shard"] in shards
        ],
        "listening_since": None if since is None else utc_text(since),
        "listening_established": since is not None and since <= first,
        "gaps": [gap for gap in report["gaps"] if gap["from"] < ends and gap["to"] > begins],
    }


def _witnessed(context: CommandContext, logs: Sequence[ProvableLog]) -> tuple[Witnessed, ...]:
    """What the witnesses that the settings name vouch for of the tenant's logs."""
    witnesses = [endpoint.verifier for endpoint in read_endpoints(context.settings)]
    if not witnesses:
        return ()
    with context.session([LAKE_TENANT], tables=("audit_events",)) as session:
        return tuple(find_witnessed(session, context.lake, logs, witnesses))


def _listening_since(context: CommandContext) -> int | None:
    """When the first collector said that it listens: of what was before, nothing is known."""
    with context.session([LAKE_TENANT], tables=("audit_events",)) as session:
        found = session.run_trusted(
            "select min(time_unix_nano) from audit_events where event_name = ? and starts_with(recorded_by, 'muniment:')",
            [STARTED],
        )
    since: int | None = found.column(0)[0].as_py()
    return since


def _prove(
    session: QuerySession, read: Sequence[ProvableLog], places: set[Place]
) -> tuple[dict[Place, bytes], dict[Place, str]]:
    logs = {log.shard: log for log in read}
    proofs: dict[Place, bytes] = {}
    problems: dict[Place, str] = {}
    for table in PROVABLE_TABLES:
        mine = sorted((shard, index) for name, shard, index in places if name == table)
        for start in range(0, len(mine), _ROWS_AT_ONCE):
            some = mine[start : start + _ROWS_AT_ONCE]
            rows = session.run_trusted(
                f"select * exclude (time) from {table} where log_index in (select unnest(?::bigint[])) "  # noqa: S608  a name of the schema
                "and shard in (select unnest(?::varchar[]))",
                [[index for _, index in some], sorted({shard for shard, _ in some})],
            )
            for each in prove_rows(logs, {table: rows}):
                place = (each.table, each.shard, each.index)
                if place not in places:
                    continue
                if each.proof is None:
                    problems[place] = each.problem
                else:
                    proofs[place] = each.proof.encode()
    return proofs, problems
