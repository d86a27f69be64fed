"""The files of a pack, made of outcomes and of what stands beside them. Pure: the same input gives the same bytes."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import rfc8785

from governance.controls.evaluating import Outcome, State
from governance.controls.framework import Framework
from governance.evidence import standalone
from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.cosigned import WITNESSED
from governance.evidence.decision_files import decision_files, decision_places
from governance.evidence.grounds import CHECKPOINTS, SAMPLE_SIZE, seed_of
from governance.evidence.oscal import assessment_results
from governance.evidence.program import verifier_program
from governance.evidence.report import html_report, pdf_report
from governance.evidence.sealed import fingerprint, parse_vkey
from warehouse.questions.witnessed import Witnessed

POPULATION, EXCEPTIONS = "population.csv", "exceptions.csv"

Place = tuple[str, str, int]


@dataclass(frozen=True)
class Ground:
    """What a pack says beside its outcomes. Times in nanoseconds since 1970.

    Attributes:
        lake: the lake's name.
        tenant: whose records.
        from_unix_nano: beginning of the period.
        to_unix_nano: its end, not included.
        as_of_unix_nano: receipt of the newest record that the sealed logs hold: the time of everything in the pack.
        policy_hash: hash of the control files.
        vkeys: public keys of the lake, newest first.
        signers: fingerprints of those that sign the pack, in order.
        witnesses: name of each independent witness, and when it cosigned the lake's own log last (0 for never).
        witnessed: what they vouch for of the tenant's logs, with the proofs of it.
        completeness: how every record is accounted for.
        checkpoints: each log's signed checkpoint, by shard.
        certificates: the purge certificates of the tenant, by SHA-256.
        holds: the holds in force.
        populations: SHA-256 of each population as CSV, by control; `pack_files` adds them.
    """

    lake: str
    tenant: str
    from_unix_nano: int
    to_unix_nano: int
    as_of_unix_nano: int
    policy_hash: str
    vkeys: tuple[str, ...]
    signers: tuple[str, ...]
    witnesses: tuple[tuple[str, int], ...]
    completeness: Mapping[str, Any]
    witnessed: tuple[Witnessed, ...] = ()
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    holds: tuple[Mapping[str, Any], ...] = ()
    populations: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of the newest key."""
        return fingerprint(parse_vkey(self.vkeys[0])[1])

    @property
    def seed(self) -> str:
        """From which samples are drawn: nobody chose it, and everybody can work it out."""
        return seed_of(self.lake, self.tenant, self.from_unix_nano, self.to_unix_nano, self.policy_hash)


def sample_of(outcome: Outcome, seed: str) -> list[Place]:
    """The places of the records whose proofs the pack holds."""
    columns = (outcome.population.column(name).to_pylist() for name in ("record_table", "shard", "log_index"))
    return standalone.draw_sample(set(zip(*columns, strict=True)), seed, SAMPLE_SIZE) if outcome.items else []


def pack_files(
    assessed: Assessed, ground: Ground, proofs: Mapping[Place, bytes], problems: Mapping[Place, str]
) -> dict[str, bytes]:
    """Every file of a pack but its manifest and that one's signature, by name."""
    framework = assessed.framework
    of_controls: dict[str, bytes] = {}
    for each in assessed.assessments:
        of_controls |= _control_files(each.outcome, ground, proofs, problems)
    populations = {
        each.control.id: hashlib.sha256(of_controls[f"controls/{each.control.folder}/{POPULATION}"]).hexdigest()
        for each in assessed.assessments
        if each.control.sql is not None
    }
    ground = replace(ground, populations=populations)
    files: dict[str, bytes] = {
        "README.txt": _readme(framework, ground).encode(),
        "report.html": html_report(assessed, ground).encode(),
        "report.pdf": pdf_report(assessed, ground),
        "assessment-results.json": _json(assessment_results(assessed, ground)),
        "completeness.json": _json(dict(ground.completeness)),
        "holds.json": _json([dict(hold) for hold in ground.holds]),
        standalone.KEYS: "".join(f"{vkey}\n" for vkey in ground.vkeys).encode(),
        "verify_pack.py": verifier_program(),
    }
    files |= {f"{CHECKPOINTS}{shard}": note for shard, note in ground.checkpoints.items()}
    files |= {f"certificates/{name}": content for name, content in ground.certificates.items()}
    return files | of_controls | decision_files(assessed, proofs, problems) | _witnessed_files(ground)


def manifest_of(assessed: Assessed, ground: Ground, files: Mapping[str, bytes]) -> bytes:
    """The manifest, in canonical JSON (RFC 8785)."""
    framework = assessed.framework
    first, last = assessed.before
    return rfc8785.dumps(
        {
            "format": standalone.FORMAT,
            "lake": ground.lake,
            "tenant": ground.tenant,
            "framework": framework.id,
            "title": framework.title,
            "from_unix_nano": str(ground.from_unix_nano),
            "to_unix_nano": str(ground.to_unix_nano),
            "before": {"from_unix_nano": str(first), "to_unix_nano": str(last)},
            "as_of_unix_nano": str(ground.as_of_unix_nano),
            "controls_hash": ground.policy_hash,
            "fingerprint": ground.fingerprint,
            "signers": list(ground.signers),
            "seed": ground.seed,
            "sample_size": SAMPLE_SIZE,
            "controls": [_figures(each, files) for each in assessed.assessments],
            "files": {
                name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
                for name, content in files.items()
            },
        }
    )


def _witnessed_files(ground: Ground) -> dict[str, bytes]:
    """What witnesses vouch for, and for each head the proof that holds the cosigned checkpoint."""
    files: dict[str, bytes] = {}
    listed = []
    for each in ground.witnessed:
        name = f"witnessed/{each.shard}-by-{each.teller}-{each.index}.tlog-proof"
        files[name] = each.proof
        listed.append(
            {
                "shard": each.shard,
                "size": each.size,
                "root": base64.b64encode(each.root).decode(),
                "teller": each.teller,
                "index": each.index,
                "proof": name,
                "consistency": [base64.b64encode(one).decode() for one in each.consistency],
                "cosigned": [{"witness": witness, "time_seconds": seconds} for witness, seconds in each.cosigned],
            }
        )
    return files | {WITNESSED: _json(listed)}


def note_text(manifest: bytes) -> str:
    """What is signed: the pack's format, and the SHA-256 of its manifest."""
    return f"{standalone.FORMAT}\n{hashlib.sha256(manifest).hexdigest()}\n"


def _figures(assessment: Assessment, files: Mapping[str, bytes]) -> dict[str, Any]:
    outcome, control = assessment.outcome, assessment.control
    found: dict[str, Any] = {
        "id": control.id,
        "folder": control.folder,
        "state": outcome.state.value,
        "items": outcome.items,
        "exceptions": outcome.exceptions,
        "share": control.share,
        "empty": control.empty,
        "covered": outcome.covered,
    }
    if outcome.state is not State.MAPPING_ONLY:
        said = assessment.to_json()
        found |= {name: said[name] for name in ("dispositions", "overdue", "before", "new", "continuing", "gone")}
        found["reviewed"] = assessment.review is not None
        population = files[f"controls/{control.folder}/{POPULATION}"]
        found["population_sha256"] = hashlib.sha256(population).hexdigest()
    return found


def _control_files(
    outcome: Outcome, ground: Ground, proofs: Mapping[Place, bytes], problems: Mapping[Place, str]
) -> dict[str, bytes]:
    control = outcome.control
    if control.sql is None:
        return {}
    folder = f"controls/{control.folder}"
    sample = sample_of(outcome, ground.seed)
    population = _csv(outcome.population)
    files = {
        f"{folder}/{POPULATION}": population,
        f"{folder}/{EXCEPTIONS}": _csv(outcome.excepted),
        f"{folder}/population.parquet": _parquet(outcome.population),
        f"{folder}/query.sql": control.sql.encode(),
        f"{folder}/sample.json": _json([_sampled(folder, place, proofs, problems) for place in sample]),
        f"{folder}/finding.json": _json(
            {
                "control": control.id,
                "title": control.title,
                "citation": control.citation,
                "question": control.question,
                "finding": outcome.state.value,
                "why": outcome.why,
                "limits": control.limits,
                "items": outcome.items,
                "exceptions": outcome.exceptions,
                "covered": outcome.covered,
                "population_sha256": hashlib.sha256(population).hexdigest(),
                "seed": ground.seed,
                "sample_size": len(sample),
                "extracted_unix_nano": str(ground.as_of_unix_nano),
                "parameters": {"from": str(ground.from_unix_nano), "to": str(ground.to_unix_nano)},
                "coverage_query": control.coverage,
            }
        ),
    }
    return files | {_proof_name(folder, place): proofs[place] for place in sample if place in proofs}


def _sampled(folder: str, place: Place, proofs: Mapping[Place, bytes], problems: Mapping[Place, str]) -> dict[str, Any]:
    table, shard, index = place
    found: dict[str, Any] = {"table": table, "shard": shard, "index": index}
    if place in proofs:
        return found | {"proof": _proof_name(folder, place)}
    return found | {"proof": None, "problem": problems.get(place, "the record was not found")}


def _proof_name(folder: str, place: Place) -> str:
    table, shard, index = place
    return f"{folder}/proofs/{table}-{shard}-{index}.tlog-proof"


def _csv(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pc.write_csv(_plain(rows), sink)
    return bytes(sink.getvalue())


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue())


def _plain(rows: pa.Table) -> pa.Table:
    """Rows as CSV can hold them: lists as JSON text."""
    columns: list[pa.ChunkedArray] = []
    for column in rows.columns:
        if pa.types.is_nested(column.type):
            texts = [None if value is None else json.dumps(value, sort_keys=True) for value in column.to_pylist()]
            columns.append(pa.chunked_array([pa.array(texts, pa.string())]))
        else:
            columns.append(column)
    return pa.Table.from_arrays(columns, names=rows.column_names)


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _readme(framework: Framework, ground: Ground) -> str:
    return (
        f"Evidence pack: {framework.title}\n"
        f"Tenant {ground.tenant} of lake {ground.lake}.\n\n"
        "report.pdf, report.html    what was found, a page a control\n"
        "controls/                  population, exceptions, query, sample and proofs of each control\n"
        "decisions.json             what was decided on exceptions, and reviews, with proofs in decisions/\n"
        "difference.json            what changed since the period before\n"
        "completeness.json          how every record is accounted for\n"
        "witnessed.json             what independent witnesses cosigned, with the cosigned checkpoints in witnessed/\n"
        "checkpoints/ certificates/ holds.json    the seals, what was deleted, what is held\n"
        "manifest.json              SHA-256 of every file; manifest.note is its signature\n"
        "verify_pack.py             checks all of it offline: python verify_pack.py PACK.zip --vkey KEY\n\n"
        "Bring the key from elsewhere than this pack: a pack that was tampered with may hold another key and another program.\n"
        f"Fingerprint of the key: {ground.fingerprint}\n"
    )


def proof_places(assessed: Assessed, seed: str) -> set[Place]:
    """Every place of which the pack needs a proof."""
    samples = {place for each in assessed.assessments for place in sample_of(each.outcome, seed)}
    return samples | decision_places(assessed)
