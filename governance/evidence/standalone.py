#!/usr/bin/env python3
"""Verifies an evidence pack offline: `python verify_pack.py PACK.zip --vkey KEY|FILE` or `--fingerprint HEX`.

Needs Python 3.9 or newer and the package `cryptography`, nothing else: no network, no lake. A copy lies in every pack; bring
your own, since a pack that was tampered with may hold another.

What is checked: the signature over the manifest, by a key that you bring; every file against the manifest, and that no other is
there; of each control the size of its population, its exceptions, its finding, that the sample is the one that the seed draws,
and for each record of the sample the proof that it stands in a sealed log under the same key.

Exit codes: 0 proved, 1 something does not fit, 2 usage, 4 not established (no key was brought).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import io
import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = "muniment/evidence-pack@v1"
MANIFEST, NOTE, KEYS = "manifest.json", "manifest.note", "vkeys.txt"
PROVED, BROKEN, NOT_ESTABLISHED = "proved", "broken", "not established"
EXIT_CODES = {PROVED: 0, BROKEN: 1, NOT_ESTABLISHED: 4}
_ED25519 = 1
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_SALT_BYTES = 16
_DASH = "\u2014 "
_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o600
_UNIX = 3
_MOST_BYTES = 2 * 1024**3
_TABLE, _TENANT, _SHARD, _INDEX, _TIME = 0, 2, 4, 5, 7


class PackError(Exception):
    """Something in the pack is not what it should be."""


@dataclass
class Verdict:
    """What was found: the answer, everything that does not fit, and what was checked."""

    result: str
    problems: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "result": self.result,
            "problems": self.problems,
            "checked": self.checked,
            "fingerprints": self.fingerprints,
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


def fingerprint(key: bytes) -> str:
    """SHA-256 of a public key, in hexadecimal."""
    return hashlib.sha256(key).hexdigest()


def parse_vkey(text: str) -> tuple[str, bytes]:
    """Name and public key of a vkey (C2SP signed-note)."""
    name, _, rest = text.strip().partition("+")
    hexed, _, encoded = rest.partition("+")
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise PackError(f"key: expected name+id+key, got {text.strip()[:60]!r}") from exc
    if len(content) != 1 + _KEY_BYTES or content[0] != _ED25519 or _key_id(name, content[1:]).hex() != hexed:
        raise PackError(f"key: expected an Ed25519 key as name+id+key, got {text.strip()[:60]!r}")
    return name, content[1:]


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


def verify_pack(file: Path | IO[bytes], vkeys: Iterable[str] = (), fingerprints: Iterable[str] = ()) -> Verdict:
    """Verify a pack with keys, or fingerprints of keys, that the verifier brings."""
    verdict = Verdict(NOT_ESTABLISHED)
    try:
        content = file.read_bytes() if isinstance(file, Path) else file.read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive, content, verdict)
            _verify(
                archive,
                [parse_vkey(vkey) for vkey in vkeys],
                {each.lower().replace(":", "") for each in fingerprints},
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


def _verify(archive: zipfile.ZipFile, keys: list[tuple[str, bytes]], wanted: set[str], verdict: Verdict) -> None:
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
    if not _is_signed(archive.read(NOTE).decode(), f"{lake}/evidence", trusted, text):
        verdict.problems.append(f"{NOTE}: no signature of {MANIFEST} by a key that you trust")
    controls = manifest["controls"]
    proofs = 0
    for control in controls:
        proofs += _check_control(archive, manifest, control, trusted, verdict)
    verdict.checked = {"files": len(names), "controls": len(controls), "proofs": proofs}
    if not verdict.problems and brought:
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
    proved = 0
    for each in json.loads(archive.read(f"{where}/sample.json")):
        key = (each["table"], each["shard"], each["index"])
        if each.get("proof") is None:
            problems.append(f"{where}: record {key}: no proof: {each.get('problem', 'none is given')}")
            continue
        try:
            _check_proof(archive.read(each["proof"]), manifest, key, times.get(key), keys)
            proved += 1
        except PackError as exc:
            problems.append(f"{each['proof']}: {exc}")
    return proved


def _check_proof(
    content: bytes,
    manifest: dict[str, Any],
    key: tuple[str, str, int],
    time: str | None,
    keys: list[tuple[str, bytes]],
) -> None:
    """Check that a record stands at its place of a sealed log."""
    head, separator, note = content.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    if lines[0] != _PROOF_HEADER or not separator or not lines[1].startswith("extra "):
        raise PackError("not a proof that holds its record")
    extra = base64.b64decode(lines[1][6:], validate=True)
    index = int(lines[2].removeprefix("index "))
    hashes = [base64.b64decode(line, validate=True) for line in lines[3:]]
    table, shard, place = key
    origin = f"{manifest['lake']}/{manifest['tenant']}/{shard}"
    said = note.decode().partition("\n\n")[0].split("\n")
    if said[0] != origin or index != place:
        raise PackError(f"expected index {place} of {origin}, got index {index} of {said[0]}")
    if not _is_signed(note.decode(), origin, keys, None):
        raise PackError("its checkpoint is not signed by a key that you trust")
    size, root = int(said[1]), base64.b64decode(said[2], validate=True)
    leaf = hashlib.sha256(b"\x00" + hashlib.sha256(extra).digest()).digest()
    if _root(leaf, index, size, hashes) != root:
        raise PackError("the record does not lead to the sealed root")
    parts = _parts(extra[_SALT_BYTES:])
    got = (parts[_TABLE], parts[_TENANT], parts[_SHARD], int(parts[_INDEX] or -1), parts[_TIME])
    expected = (table, manifest["tenant"], shard, place)
    if got[:4] != expected or (time is not None and table == "audit_events" and got[4] != time):
        raise PackError(f"expected the record {expected}, got one that says {got} of itself")


def _root(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2); None where it has the wrong length."""
    if not 0 <= index < size:
        return None
    first, last, found = index, size - 1, leaf
    for each in hashes:
        if last == 0:
            return None
        if first % 2 or first == last:
            found = hashlib.sha256(b"\x01" + each + found).digest()
            while first % 2 == 0 and first:
                first //= 2
                last //= 2
        else:
            found = hashlib.sha256(b"\x01" + found + each).digest()
        first //= 2
        last //= 2
    return found if last == 0 else None


def _parts(text: bytes) -> list[str | None]:
    """The values of a record's text: `<byte length>:<text>` or `-`, one after another."""
    at = 0
    found: list[str | None] = []
    while at < len(text):
        if text[at : at + 1] == b"-":
            found.append(None)
            at += 1
            continue
        colon = text.index(b":", at)
        end = colon + 1 + int(text[at:colon])
        found.append(text[colon + 1 : end].decode("utf-8"))
        at = end
    return found


def _is_signed(note: str, name: str, keys: list[tuple[str, bytes]], expected: str | None) -> bool:
    """Whether a note is signed, under this name, by one of the keys, and is `expected` where that is given."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or (expected is not None and text != expected):
        return False
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(_DASH).partition(" ")
        if signer != name or not line.startswith(_DASH):
            continue
        content = base64.b64decode(encoded)
        for own, key in keys:
            known = name == own or name.startswith(f"{own}/")
            if known and content[:_KEY_ID_BYTES] == _key_id(name, key):
                try:
                    Ed25519PublicKey.from_public_bytes(key).verify(content[_KEY_ID_BYTES:], text.encode())
                except InvalidSignature:
                    return False
                return True
    return False


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([_ED25519]) + key).digest()[:_KEY_ID_BYTES]


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
    given = parser.parse_args(arguments)
    vkeys = []
    for each in given.vkey:
        file = Path(each)
        vkeys += (
            [line for line in file.read_text(encoding="utf8").splitlines() if line.strip()]
            if file.is_file()
            else [each]
        )
    verdict = verify_pack(Path(given.pack), vkeys, given.fingerprint)
    out = [
        f"{verdict.result}: {verdict.checked}" if verdict.checked else verdict.result,
        *(f"  {problem}" for problem in verdict.problems),
    ]
    if verdict.result == NOT_ESTABLISHED:
        out += [
            "  files and figures fit each other; bring the key of the system from elsewhere to establish who signed:"
        ]
        out += [f"  fingerprint of a key in the pack: {each}" for each in verdict.fingerprints]
    sys.stdout.write("\n".join(out) + "\n")
    return EXIT_CODES[verdict.result]


if __name__ == "__main__":
    sys.exit(main())
