"""The access request (GDPR Article 15): all that a tenant holds about a person, in one file, with proofs, on the record.

Invariants:
- The file has its name only after `data.exported` stands in the tenant's log: what cannot be recorded is not given out.
- The event names the person only as SHA-256 under a nonce that is shown once, and the file by its SHA-256.
- The same lake gives the same bytes: no clock is in them, and rows stand in the order of their log.
"""

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.access import Action
from muniment import report_pages
from muniment.subjects import NONCE_BYTES
from muniment.wiring import CommandContext
from retention.subject_finds import AttributeTerm, SubjectFinds, SubjectTerms
from retention.subject_rows import parquet_bytes, read_found
from retention.subject_search import search_subject
from warehouse.control.secret import RandomBytes
from warehouse.durable import PRIVATE_FILE, sync_folder
from warehouse.errors import CorruptionError, InputError, NotFoundError, UnavailableError
from warehouse.ledger.key_destruction import reference
from warehouse.ledger.signing import read_signing_keys
from warehouse.quarantine import read_quarantine
from warehouse.questions.bulk_proofs import BulkProof, prove_rows
from warehouse.questions.proof import PROVABLE_TABLES, list_logs
from warehouse.subjects import is_token, normal_form

Step = Callable[[str, str], None]
_EPOCH = (1980, 1, 1, 0, 0, 0)
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
    decision = context.access.check(context.principal, Action.SUBJECT_REPORT, subject.tenant)
    if out.exists():
        raise InputError(f"{out}: expected a name that is free, got a file", hint="name another file with --out")
    finds, tables = _read(context, subject.terms(attributes), subject.tenant, texts=texts, step=step)
    proved = list(_proofs(context, subject.tenant, tables, step))
    problems = tuple(f"{each.table} {each.shard} {each.index}: {each.problem}" for each in proved if each.proof is None)
    step(subject.tenant, "writing the file")
    files = _files(context, finds, tables, proved, problems)
    unnamed = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        digest = _write(unnamed, files)
        nonce = random_bytes(NONCE_BYTES)
        ref = reference(nonce, normal_form(subject.value) if subject.value else subject.token or "")
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
        # a link, not a rename: a file that came there meanwhile is not replaced
        os.link(unnamed, out)
        sync_folder(out.parent)
    except FileExistsError as exc:
        raise InputError(
            f"{out}: expected a name that is free, got a file", hint="name another file with --out"
        ) from exc
    except OSError as exc:
        raise UnavailableError(f"{out}: cannot be written: {exc.strerror or exc}") from exc
    finally:
        unnamed.unlink(missing_ok=True)
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


def _write(file: Path, files: Iterator[tuple[str, bytes]]) -> str:
    """Write the ZIP, durably; returns its SHA-256."""
    manifest: dict[str, Any] = {}
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w+b") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files:
                manifest[name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
                archive.writestr(_entry(name), content)
            archive.writestr(_entry("manifest.json"), json.dumps({"files": manifest}, indent=1, sort_keys=True))
        stream.flush()
        os.fsync(stream.fileno())
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = PRIVATE_FILE << 16
    return entry
