"""The access request (GDPR Article 15): all that a tenant holds about a person, in one file, with proofs, on the record.

Invariants:
- The file has its name only after `data.exported` stands in the tenant's log: what cannot be recorded is not given out.
- The event names the person only as SHA-256 under a nonce that is shown once, and the file by its SHA-256.
- The same lake gives the same bytes: no clock is in them, and rows stand in the order of their log.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from governance.access import Action
from muniment import report_pages
from muniment.subjects import NONCE_BYTES
from muniment.wiring import CommandContext
from muniment.zip_files import expect_free, place_file, write_zip
from retention.subject_finds import AttributeTerm, SubjectFinds, SubjectTerms
from retention.subject_rows import parquet_bytes, read_found
from retention.subject_search import search_subject
from warehouse.control.secret import RandomBytes
from warehouse.errors import CorruptionError, InputError, NotFoundError, UnavailableError
from warehouse.ledger.key_destruction import reference
from warehouse.ledger.signing import read_signing_keys
from warehouse.quarantine import read_quarantine
from warehouse.questions.bulk_proofs import BulkProof, prove_rows
from warehouse.questions.proof import PROVABLE_TABLES, list_logs
from warehouse.subjects import is_token, normal_form

Step = Callable[[str, str], None]
_ATTEMPTS = 3


@dataclass(frozen=True)
class Subject:
    """Whom a question is about: the token where there is one, and the value where the vault or the officer knows it."""

    tenant: str
    token: str | None
    value: str | None

    def terms(self, attributes: Sequence[AttributeTerm] = ()) -> SubjectTerms:
        """What is searched for."""
        return SubjectTerms.of([word for word in (self.token, self.value) if word is not None], attributes)


@dataclass(frozen=True)
class SubjectReport:
    """A report that was given out. `problems` are the records that could not be proved, and why."""

    file: Path
    sha256: str
    subject_ref: str
    finds: SubjectFinds
    proofs: int
    problems: tuple[str, ...]


def find_subject_of_report(context: CommandContext, tenant: str, *, token: str | None, value: str | None) -> Subject:
    """Who is meant by a token or by a value; no token is made for a value that has none.

    Raises:
        DeniedError: the principal may not report.
        InputError: neither or both were given, or one that is none.
        NotFoundError: no such tenant, or a token that its vault does not know.
    """
    context.check(Action.SUBJECT_REPORT, tenant)
    context.control.tenant(tenant)
    if (token is None) == (value is None):
        raise InputError("subject: expected --subject with a token, or --value, one of the two")
    if value is not None:
        if not normal_form(value):
            raise InputError("--value: expected one, got nothing")
        return Subject(tenant, context.vault.find(tenant, value), value)
    if token is None or not is_token(token):
        raise InputError("--subject: expected sub_ and 26 characters, got something else", hint="--value takes a value")
    if not context.vault.known(tenant, [token]):
        raise NotFoundError(
            f"--subject: expected a token of tenant {tenant}, got one that the vault does not know",
            hint="another tenant's, or its key was destroyed",
        )
    try:
        return Subject(tenant, token, context.vault.reveal(tenant, token))
    except (CorruptionError, NotFoundError):
        return Subject(tenant, token, None)


def report_subject(
    context: CommandContext,
    subject: Subject,
    out: Path,
    *,
    texts: bool = False,
    attributes: Sequence[AttributeTerm] = (),
    announce_nonce: Callable[[str], None],
    step: Step = lambda _whom, _what: None,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> SubjectReport:
    """Write all that the lake holds about a person into a ZIP file of mode 0600, recorded as `data.exported` before it has its name.

    `announce_nonce` gets the nonce in hexadecimal under which the event names the person; it is kept nowhere.

    Raises:
        DeniedError: the principal may not report.
        InputError: the file is there already.
        UnavailableError: the lake cannot be read, the file cannot be written, or the export cannot be recorded.
    """
    decision = context.check(Action.SUBJECT_REPORT, subject.tenant)
    expect_free(out)
    finds, tables = _read(context, subject.terms(attributes), subject.tenant, texts=texts, step=step)
    proved = list(_proofs(context, subject.tenant, tables, step))
    problems = tuple(f"{each.table} {each.shard} {each.index}: {each.problem}" for each in proved if each.proof is None)
    step(subject.tenant, "writing the file")
    files = _files(context, finds, tables, proved, problems)
    nonce = random_bytes(NONCE_BYTES)
    ref = reference(nonce, normal_form(subject.value) if subject.value else subject.token or "")

    def record(digest: str) -> None:
        context.record(
            "data.exported",
            subject.tenant,
            action="report",
            resource_type="subject",
            policy_id=decision.policy_id,
            policy_version=decision.policy_version,
            attributes={
                "muniment.subject_ref": ref,
                "muniment.report.sha256": digest,
                "muniment.report.rows": {count.table: count.rows for count in finds.counts()},
                "muniment.report.proofs": len(proved) - len(problems),
                "muniment.report.searched_texts": texts,
            },
        )
        announce_nonce(nonce.hex())

    digest = place_file(out, lambda file: write_zip(file, files), record)
    return SubjectReport(out, digest, ref, finds, len(proved) - len(problems), problems)


def _read(
    context: CommandContext, terms: SubjectTerms, tenant: str, *, texts: bool, step: Step
) -> tuple[SubjectFinds, dict[str, pa.Table]]:
    for attempt in range(_ATTEMPTS):
        finds = search_subject(
            context.lake, tenant, terms, texts=texts,
            progress=lambda done, of_all: step(tenant, f"searched {done} of {of_all} files"),
        )  # fmt: skip
        try:
            return finds, read_found(context.lake, finds)
        except UnavailableError:
            # compacted between the search and this
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError


def _proofs(context: CommandContext, tenant: str, tables: Mapping[str, pa.Table], step: Step) -> Iterator[BulkProof]:
    ledgered = {name: rows for name, rows in tables.items() if name in PROVABLE_TABLES}
    if not ledgered:
        return
    logs = {log.shard: log for log in list_logs(context.lake, tenant)}
    every = sum(rows.num_rows for rows in ledgered.values())
    for number, each in enumerate(prove_rows(logs, ledgered), 1):
        if number % 256 == 0:
            step(tenant, f"proved {number} of {every} records")
        yield each


def _files(
    context: CommandContext,
    finds: SubjectFinds,
    tables: Mapping[str, pa.Table],
    proved: Sequence[BulkProof],
    problems: Sequence[str],
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file; the manifest is made of them."""
    proofs = len(proved) - len(problems)
    yield "README.txt", report_pages.readme(finds, tables, proofs=proofs, problems=problems).encode()
    yield "report.html", report_pages.page(finds, tables, problems=problems).encode("utf-8", "backslashreplace")
    for table, rows in tables.items():
        yield f"tables/{table}.parquet", parquet_bytes(rows)
        yield f"tables/{table}.json", report_pages.json_lines(rows)
    if finds.quarantine:
        wanted = set(finds.quarantine)
        entries = [asdict(each) for each in read_quarantine(context.lake, [finds.tenant_id]) if each.id in wanted]
        yield "quarantine.json", json.dumps(entries, ensure_ascii=False, indent=1).encode()
    checkpoints: dict[str, bytes] = {}
    for each in proved:
        if each.proof is not None:
            checkpoints[each.shard] = each.proof.checkpoint
            yield f"proofs/{each.shard}/{each.index}.tlog-proof", each.proof.encode()
    for shard, note in sorted(checkpoints.items()):
        yield f"checkpoints/{shard}", note
    verifiers = read_signing_keys(context.lake.keys).verifiers(context.settings.lake)
    yield "vkeys.txt", "".join(f"{verifier.vkey}\n" for verifier in verifiers).encode()
