#!/usr/bin/env python3
"""Verifies an evidence pack offline: `python verify_pack.py PACK.zip --vkey KEY|FILE` or `--fingerprint HEX`.

With `--witness-key KEY|FILE` it also checks that independent witnesses cosigned the logs: get their keys from the witnesses.

Needs Python 3.9 or newer and the package `cryptography`, nothing else: no network, no lake. A copy lies in every pack; bring
your own, since a pack that was tampered with may hold another.

What is checked: the signature over the manifest, by a key that you bring; every file against the manifest, and that no other is
there; of each control the size of its population, its exceptions, its finding, that the sample is the one that the seed draws,
and for each record of the sample the proof that it stands in a sealed log under the same key.

Exit codes: 0 proved, 1 something does not fit, 2 usage, 4 not established (no key was brought, or no witness
cosigned a log whose key was).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from governance.evidence.cosigned import WITNESSED, check_witnessed
from governance.evidence.sealed import COSIGNATURE, PackError, check_proof, fingerprint, is_signed, parse_vkey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = "muniment/evidence-pack@v1"
MANIFEST, NOTE, KEYS = "manifest.json", "manifest.note", "vkeys.txt"
DECISIONS = "decisions.json"
PROVED, BROKEN, NOT_ESTABLISHED = "proved", "broken", "not established"
EXIT_CODES = {PROVED: 0, BROKEN: 1, NOT_ESTABLISHED: 4}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o600
_UNIX = 3
_MOST_BYTES = 2 * 1024**3
# places of an audit event's columns in its record text
_RECORDED_BY, _PEER, _ATTRIBUTES, _EVENT, _OUTCOME, _REASON = 8, 9, 20, 23, 30, 31


@dataclass
class Verdict:
    """What was found: the answer, everything that does not fit, and what was checked."""

    result: str
    problems: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    witnessed: list[str] = field(default_factory=list)
    unwitnessed: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "result": self.result,
            "problems": self.problems,
            "checked": self.checked,
            "fingerprints": self.fingerprints,
            "witnessed": self.witnessed,
            "unwitnessed": self.unwitnessed,
        }


def draw_sample(keys: Iterable[tuple[str, str, int]], seed: str, size: int) -> list[tuple[str, str, int]]:
    """The sample: of all (table, shard, index) those `size` whose SHA-256 with the seed is lowest, in that order."""
    ranked = sorted(
        (hashlib.sha256(f"{seed}/{table}/{shard}/{index}".encode()).hexdigest(), table, shard, index)
        for table, shard, index in keys
    )
    return [(table, shard, index) for _, table, shard, index in ranked[:size]]


def judge(items: int, exceptions: int, share: float, empty: str, covered: int | None) -> str:
    """A control's finding from its figures."""
    if not items:
        return "satisfied" if empty == "satisfied" and covered else "insufficient evidence"
    return "satisfied" if (items - exceptions) / items >= share else "not satisfied"


def canonical_zip(files: Mapping[str, bytes]) -> bytes:
    """The one archive of these files: names in order, stored as they are, no time and no system of its own.

    Stored, not compressed: compressed bytes differ between versions of a library, and hold bits that say nothing.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def verify_pack(
    file: Path | IO[bytes],
    vkeys: Iterable[str] = (),
    fingerprints: Iterable[str] = (),
    witness_keys: Iterable[str] = (),
) -> Verdict:
    """Verify a pack with keys, or fingerprints of keys, that the verifier brings.

    With keys of witnesses it is proved only where each log has a cosignature by one of them; without, cosignatures are not checked.
    """
    verdict = Verdict(NOT_ESTABLISHED)
    try:
        content = file.read_bytes() if isinstance(file, Path) else file.read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive, content, verdict)
            _verify(
                archive,
                [parse_vkey(vkey) for vkey in vkeys],
                {each.lower().replace(":", "") for each in fingerprints},
                [parse_vkey(vkey, COSIGNATURE) for vkey in witness_keys],
                verdict,
            )
    except (
        PackError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        OSError,
        EOFError,
        NotImplementedError,
    ) as exc:
        verdict.problems.append(str(exc) or type(exc).__name__)
    except Exception as exc:  # noqa: BLE001 - whatever a made-up archive raises, it is not proved
        verdict.problems.append(f"{type(exc).__name__}: {exc}")
    if verdict.problems:
        verdict.result = BROKEN
    return verdict


def _check_archive(archive: zipfile.ZipFile, content: bytes, verdict: Verdict) -> None:
    """Check that the archive is the canonical one of its files, to the byte: nothing hides in a header or between files."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise PackError("the archive names a file twice")
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise PackError(f"the archive unpacks to more than {_MOST_BYTES:,} bytes")
    if canonical_zip({name: archive.read(name) for name in names}) != content:
        verdict.problems.append(
            "the archive: expected exactly its files, stored in order, got other headers or bytes between"
        )


def _verify(
    archive: zipfile.ZipFile,
    keys: list[tuple[str, bytes]],
    wanted: set[str],
    witnesses: list[tuple[str, bytes]],
    verdict: Verdict,
) -> None:
    names = [entry.filename for entry in archive.infolist()]
    content = archive.read(MANIFEST)
    manifest = json.loads(content)
    if manifest.get("format") != FORMAT:
        raise PackError(f"{MANIFEST}: expected the format {FORMAT}, got {manifest.get('format')!r}")
    _check_files(archive, manifest, names, verdict)
    own = [parse_vkey(line) for line in archive.read(KEYS).decode().splitlines() if line.strip()]
    brought = keys + [key for key in own if fingerprint(key[1]) in wanted]
    verdict.fingerprints = sorted({fingerprint(key) for _, key in own})
    if wanted and not brought:
        verdict.problems.append("no key in the pack has the fingerprint that you brought")
    lake = str(manifest["lake"])
    trusted = brought or own
    text = f"{FORMAT}\n{hashlib.sha256(content).hexdigest()}\n"
    if not is_signed(archive.read(NOTE).decode(), f"{lake}/evidence", trusted, text):
        verdict.problems.append(f"{NOTE}: no signature of {MANIFEST} by a key that you trust")
    controls = manifest["controls"]
    proofs = 0
    for control in controls:
        proofs += _check_control(archive, manifest, control, trusted, verdict)
    if DECISIONS in names:
        proofs += _check_decisions(archive, manifest, trusted, verdict)
    if WITNESSED in names:
        verdict.witnessed, verdict.unwitnessed, problems = check_witnessed(archive.read, manifest, trusted, witnesses)
        verdict.problems += problems
    elif witnesses:
        verdict.unwitnessed = ["the pack was made before packs held cosignatures"]
    verdict.checked = {"files": len(names), "controls": len(controls), "proofs": proofs}
    if not verdict.problems and not verdict.unwitnessed and brought:
        verdict.result = PROVED


def _check_files(archive: zipfile.ZipFile, manifest: dict[str, Any], names: list[str], verdict: Verdict) -> None:
    listed = manifest["files"]
    for name in sorted(set(names) - set(listed) - {MANIFEST, NOTE}):
        verdict.problems.append(f"{name}: it is in the pack and not in its manifest")
    for name, said in sorted(listed.items()):
        if name not in names:
            verdict.problems.append(f"{name}: the manifest lists it and it is not there")
            continue
        try:
            found = hashlib.sha256(archive.read(name)).hexdigest()
        except (zipfile.BadZipFile, OSError, ValueError) as exc:
            verdict.problems.append(f"{name}: cannot be read: {exc}")
            continue
        if found != said["sha256"]:
            verdict.problems.append(f"{name}: expected SHA-256 {said['sha256']}, got {found}: it was changed")


def _check_control(
    archive: zipfile.ZipFile,
    manifest: dict[str, Any],
    control: dict[str, Any],
    keys: list[tuple[str, bytes]],
    verdict: Verdict,
) -> int:
    """Check one control's figures, sample and proofs; returns how many proofs hold."""
    where = f"controls/{control['folder']}"
    if control["state"] == "mapping only":
        return 0
    rows = list(csv.DictReader(io.StringIO(archive.read(f"{where}/population.csv").decode("utf-8"))))
    exceptions = sum(row["ok"] != "true" for row in rows)
    problems = verdict.problems
    if len(rows) != control["items"] or exceptions != control["exceptions"]:
        problems.append(
            f"{where}: expected {control['items']} items with {control['exceptions']} exceptions, got {len(rows)} with {exceptions}"
        )
    state = judge(len(rows), exceptions, control["share"], control["empty"], control["covered"])
    if state != control["state"]:
        problems.append(f"{where}: expected the finding {control['state']!r}, its population says {state!r}")
    times = {(row["record_table"], row["shard"], int(row["log_index"])): row["time_unix_nano"] for row in rows}
    drawn = draw_sample(list(times), manifest["seed"], manifest["sample_size"])
    sample = [
        (each["table"], each["shard"], each["index"]) for each in json.loads(archive.read(f"{where}/sample.json"))
    ]
    if sample != drawn:
        problems.append(f"{where}/sample.json: expected the sample that the seed draws, got another")
    _check_decided(archive, {"framework": manifest["framework"]} | control, rows, verdict)
    proved = 0
    for each in json.loads(archive.read(f"{where}/sample.json")):
        key = (each["table"], each["shard"], each["index"])
        if each.get("proof") is None:
            problems.append(f"{where}: record {key}: no proof: {each.get('problem', 'none is given')}")
            continue
        try:
            check_proof(archive.read(each["proof"]), manifest, key, times.get(key), keys)
            proved += 1
        except PackError as exc:
            problems.append(f"{each['proof']}: {exc}")
    return proved


def _check_decided(
    archive: zipfile.ZipFile, control: dict[str, Any], rows: list[dict[str, str]], verdict: Verdict
) -> None:
    """Check what the manifest says of a control's exceptions: each is new or goes on, and is open or disposed of."""
    if "dispositions" not in control:
        return  # a pack made before packs had decisions
    where, bad = f"controls/{control['folder']}", [row for row in rows if row["ok"] != "true"]
    newest: dict[str, str] = {}
    for each in json.loads(archive.read(DECISIONS))["dispositions"]:
        newest[each["exception"]] = each["disposition"]
    found = dict.fromkeys(control["dispositions"], 0)
    for row in bad:
        name = f"{control['framework']}/{control['id']}/{row['record_table']}/{row['shard']}/{row['log_index']}"
        found[newest.get(name, "open")] += 1
    if found != control["dispositions"]:
        verdict.problems.append(f"{where}: expected exceptions {control['dispositions']}, {DECISIONS} says {found}")
    if control["new"] + control["continuing"] != len(bad):
        verdict.problems.append(f"{where}: expected {len(bad)} exceptions that are new or go on, got another number")


def _check_decisions(
    archive: zipfile.ZipFile, manifest: dict[str, Any], keys: list[tuple[str, bytes]], verdict: Verdict
) -> int:
    """Check that each decision is a record of a sealed log that says the same; returns how many are."""
    proved = 0
    content = json.loads(archive.read(DECISIONS))
    for kind, event in (("dispositions", "exception.disposed"), ("reviews", "control.reviewed")):
        for each in content[kind]:
            place = each["place"]
            key = (place["table"], place["shard"], place["index"])
            if each.get("proof") is None:
                verdict.problems.append(f"{DECISIONS}: record {key}: no proof: {each.get('problem', 'none is given')}")
                continue
            try:
                parts = check_proof(archive.read(each["proof"]), manifest, key, None, keys)
                _check_says(parts, event, each, manifest)
                proved += 1
            except PackError as exc:
                verdict.problems.append(f"{each['proof']}: {exc}")
    return proved


def _check_says(parts: list[str | None], event: str, decided: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Check that a record says of a decision what the pack says of it, and that this system itself made it."""
    said = json.loads(parts[_ATTRIBUTES] or "{}")
    got = {
        "event": parts[_EVENT],
        "peer": parts[_PEER],
        "by": parts[_RECORDED_BY],
        "reason": parts[_REASON],
        "outcome": parts[_OUTCOME],
    }
    expected = {
        "event": event,
        "peer": "local",
        "by": decided["by"],
        "reason": decided.get("reason", decided.get("note")),
        "outcome": "success",
    }
    if "exception" in decided:
        names = ("control.framework", "control.id", "exception.table", "exception.shard", "exception.index")
        got["exception"] = "/".join(str(said.get(f"muniment.{name}")) for name in names)
        got |= {name: said.get(f"muniment.exception.{name}") for name in ("disposition", "ticket", "due")}
        expected |= {name: decided[name] for name in ("exception", "disposition", "ticket", "due")}
    else:
        figures = ("id", "finding", "items", "exceptions")
        got |= {name: said.get(f"muniment.control.{name}") for name in figures}
        expected |= {"id": decided["control"]} | {name: decided[name] for name in figures[1:]}
        got["period"] = f"{said.get('muniment.control.from')} {said.get('muniment.control.to')}"
        expected["period"] = f"{manifest['from_unix_nano']} {manifest['to_unix_nano']}"
    if got != expected:
        raise PackError(f"expected a record of {expected}, got one of {got}")


def _keys(given: list[str]) -> list[str]:
    """Keys as arguments name them: each a key, or a file with one a line."""
    found: list[str] = []
    for each in given:
        file = Path(each)
        lines = file.read_text(encoding="utf8").splitlines() if file.is_file() else [each]
        found += [line for line in lines if line.strip() and not line.startswith("#")]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack")
    parser.add_argument(
        "--vkey", action="append", default=[], metavar="KEY|FILE", help="a key that you trust, or a file of such"
    )
    parser.add_argument(
        "--fingerprint", action="append", default=[], metavar="HEX", help="SHA-256 of a key that you trust"
    )
    parser.add_argument(
        "--witness-key",
        action="append",
        default=[],
        metavar="KEY|FILE",
        help="a witness's key that you trust, or a file of such",
    )
    given = parser.parse_args(arguments)
    verdict = verify_pack(Path(given.pack), _keys(given.vkey), given.fingerprint, _keys(given.witness_key))
    out = [
        f"{verdict.result}: {verdict.checked}" if verdict.checked else verdict.result,
        *(f"  {problem}" for problem in verdict.problems),
        *(f"  {line}" for line in (*verdict.witnessed, *verdict.unwitnessed)),
    ]
    if verdict.result == NOT_ESTABLISHED and not (given.vkey or given.fingerprint):
        out += [
            "  files and figures fit each other; bring the key of the system from elsewhere to establish who signed:"
        ]
        out += [f"  fingerprint of a key in the pack: {each}" for each in verdict.fingerprints]
    sys.stdout.write("\n".join(out) + "\n")
    return EXIT_CODES[verdict.result]


if __name__ == "__main__":
    sys.exit(main())
