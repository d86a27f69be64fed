#!/usr/bin/env python3
"""Verifies an evidence pack offline: `python verify_pack.py PACK.zip --vkey KEY|FILE` or `--fingerprint HEX`.

With `--witness-key KEY|FILE` it also checks that independent witnesses cosigned the logs: get their keys from the witnesses.

Needs Python 3.9 or newer and the package `cryptography`, nothing else: no network, no lake. A copy lies in every pack; bring
your own, since a pack that was tampered with may hold another.

What is checked: the signature over the manifest, by a key that you bring; every file against the manifest, and that no other is
there; that the account of records adds up; of each control the size of its population, its exceptions, its finding, that the sample is the one that the seed draws,
and for each record of the sample the proof that it stands in a sealed log under the same key.

What is proved is that the pack is what was signed. A pack whose own account names records that are missing or altered is proved all
the same, says so in its first line, and names them in `losses` of the verdict.

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
from typing import IO, TYPE_CHECKING, Any, TypeVar

from governance.evidence.cosigned import WITNESSED, check_witnessed
from governance.evidence.decided import DECISIONS, check_decided, check_decisions
from governance.evidence.grounds import (
    COMPLETENESS,
    Head,
    check_account,
    check_exceptions,
    check_finding,
    check_heads,
    check_manifest,
    check_note,
    check_places,
    losses_of,
    losses_text,
)
from governance.evidence.sealed import COSIGNATURE, ED25519, PackError, check_proof, fingerprint, is_signed, parse_vkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

FORMAT = "muniment/evidence-pack@v1"
MANIFEST, NOTE, KEYS = "manifest.json", "manifest.note", "vkeys.txt"
PROVED, BROKEN, NOT_ESTABLISHED = "proved", "broken", "not established"
EXIT_CODES = {PROVED: 0, BROKEN: 1, NOT_ESTABLISHED: 4}
_Read = TypeVar("_Read")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o600
_UNIX = 3
_MOST_CHARACTERS = 2**31 - 1


@dataclass
class Verdict:
    """What was found: the answer, everything that does not fit, and what was checked.

    `losses` is what the pack says of its own records: how many are missing, altered and so on.
    """

    result: str
    problems: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    witnessed: list[str] = field(default_factory=list)
    unwitnessed: list[str] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The answer in a line: first whether the pack is what was signed, then what it says of its own records."""
        if not self.losses or self.result == BROKEN:
            return self.result
        is_signed = "the pack is what was signed; but " if self.result == PROVED else ""
        return f"{self.result}: {is_signed}it says of its own records: {losses_text(self.losses)}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "result": self.result,
            "losses": self.losses,
            "problems": self.problems,
            "checked": self.checked,
            "fingerprints": self.fingerprints,
            "witnessed": self.witnessed,
            "unwitnessed": self.unwitnessed,
        }


@dataclass(frozen=True)
class _Sealed:
    """What proofs are checked with: the pack, its manifest, the keys that are trusted, and the heads of its logs."""

    archive: zipfile.ZipFile
    manifest: dict[str, Any]
    keys: list[tuple[str, bytes]]
    heads: dict[str, Head]


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
        return "satisfied" if empty == "satisfied" and (covered or 0) > 0 else "insufficient evidence"
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
    # before anything is read: what is stored as it is cannot unpack to more than the archive holds
    if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
        raise PackError(f"the archive: expected files stored as they are, got {packed[0]!r} packed")
    if sum(entry.file_size for entry in entries) > len(content):
        raise PackError("the archive: expected files that fit into it, got more bytes than it has")
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
    content, note = archive.read(MANIFEST), archive.read(NOTE)
    manifest = _named(MANIFEST, lambda: json.loads(content))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise PackError(f"{MANIFEST}: expected the format {FORMAT}, got another")
    own = _named(KEYS, lambda: [parse_vkey(line) for line in archive.read(KEYS).decode().splitlines() if line.strip()])
    brought = keys + [key for key in own if fingerprint(key[1]) in wanted]
    verdict.fingerprints = sorted({fingerprint(key) for _, key in own})
    if wanted and not brought:
        verdict.problems.append("no key in the pack has the fingerprint that you brought")
    trusted = brought or own
    # the signature before anything that the manifest says: what is wrong in a manifest that was changed is said of it first
    text, name = f"{FORMAT}\n{hashlib.sha256(content).hexdigest()}\n", f"{manifest.get('lake')}/evidence"
    if not _named(NOTE, lambda: is_signed(note.decode(), name, trusted, text)):
        verdict.problems.append(f"{NOTE}: no signature of {MANIFEST} by a key that you trust")
    if wrong := _named(NOTE, lambda: check_note(note, text, name, own, manifest.get("signers"))):
        verdict.problems.append(f"{NOTE}: {wrong}")
    _check_files(archive, manifest, names, verdict)
    heads, problems = check_heads(archive.read, manifest, trusted)
    account = json.loads(archive.read(COMPLETENESS))
    verdict.losses = losses_of(account)
    verdict.problems += check_manifest(manifest) + problems + check_account(account)
    sealed = _Sealed(archive, manifest, trusted, heads)
    controls = manifest["controls"]
    proofs = 0
    for control in controls:
        proofs += _check_control(sealed, control, verdict)
    if DECISIONS in names:
        proved, problems = check_decisions(archive.read, manifest, trusted, heads)
        proofs += proved
        verdict.problems += problems
    if WITNESSED in names:
        verdict.witnessed, verdict.unwitnessed, problems = check_witnessed(archive.read, manifest, trusted, witnesses)
        verdict.problems += problems
    elif witnesses:
        verdict.unwitnessed = ["the pack was made before packs held cosignatures"]
    verdict.checked = {"files": len(names), "controls": len(controls), "proofs": proofs}
    if not verdict.problems and not verdict.unwitnessed and brought:
        verdict.result = PROVED


def _named(file: str, read: Callable[[], _Read]) -> _Read:
    """What is read of a file; what keeps it from being read names the file."""
    try:
        return read()
    except (PackError, ValueError, TypeError, KeyError, RecursionError) as exc:
        raise PackError(f"{file}: cannot be read: {exc}") from exc


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


def _check_control(sealed: _Sealed, control: dict[str, Any], verdict: Verdict) -> int:
    """Check one control's figures, sample and proofs; returns how many proofs hold."""
    archive, manifest = sealed.archive, sealed.manifest
    where = f"controls/{control['folder']}"
    if control["state"] == "mapping only":
        return 0
    rows = _read_rows(archive.read(f"{where}/population.csv"))
    exceptions = sum(row["ok"] != "true" for row in rows)
    problems = verdict.problems
    problems += check_finding(archive.read, manifest, control) + check_places(where, rows, sealed.heads)
    if f"{where}/exceptions.csv" in manifest["files"]:  # packs were made before they had it
        problems += check_exceptions(_read_rows(archive.read(f"{where}/exceptions.csv")), where, rows)
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
    problems += check_decided(archive.read, manifest, control, rows)
    proved = 0
    for each in json.loads(archive.read(f"{where}/sample.json")):
        key = (each["table"], each["shard"], each["index"])
        if each.get("proof") is None:
            problems.append(f"{where}: record {key}: no proof: {each.get('problem', 'none is given')}")
            continue
        try:
            check_proof(archive.read(each["proof"]), manifest, key, times.get(key), sealed.keys, sealed.heads)
            proved += 1
        except PackError as exc:
            problems.append(f"{each['proof']}: {exc}")
    return proved


def _read_rows(content: bytes) -> list[dict[str, str]]:
    """The rows of a population. A value may be long; what is compared holds no NUL, at which older Pythons stop reading."""
    csv.field_size_limit(_MOST_CHARACTERS)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8").replace("\0", ""), newline="")))


def _keys(option: str, given: list[str], kind: int) -> list[str]:
    """Keys as arguments name them: each a key, or a file with one a line (`#` begins a comment).

    Raises:
        PackError: an argument is neither.
    """
    found: list[str] = []
    for each in given:
        try:
            lines = (
                Path(each).read_text(encoding="utf8").splitlines()
                if "+" not in each or Path(each).is_file()
                else [each]
            )
            keys = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
            for key in keys:
                parse_vkey(key, kind)
        except (OSError, ValueError, PackError) as exc:
            raise PackError(f"{option} {each[:80]}: expected a key name+id+key or a file of such: {exc}") from exc
        if not keys:
            raise PackError(
                f"{option} {each[:80]}: expected a key name+id+key or a file of such, got one without a key"
            )
        found += keys
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
    try:
        keys, witness_keys = (
            _keys("--vkey", given.vkey, ED25519),
            _keys("--witness-key", given.witness_key, COSIGNATURE),
        )
    except PackError as exc:
        parser.error(str(exc))  # exit 2: what cannot be read is no verdict
    if not Path(given.pack).is_file():
        parser.error(f"{given.pack}: expected an evidence pack, got no file")
    verdict = verify_pack(Path(given.pack), keys, given.fingerprint, witness_keys)
    out = [
        verdict.headline,
        *(
            [f"  checked: {', '.join(f'{count:,} {what}' for what, count in verdict.checked.items())}"]
            if verdict.checked
            else []
        ),
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
