"""What a pack says of itself, held against itself: its seed, its seals, its signature, and that its figures are one set of figures.

Part of `verify_pack.py`, like `sealed`. Invariant: nothing that a proof rests on can be chosen by who builds a pack. The seed follows
from what the pack is of; every proof leads to the one head of its log that the pack holds, so that a second history beside the one
that witnesses saw proves nothing; and the bytes of the signature are determined by the manifest and the keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from governance.evidence.sealed import DASH, KEY_ID_BYTES, PackError, fingerprint, fits, is_signed, key_id

SAMPLE_SIZE = 25
"""Records a control whose proofs a pack holds: the usual sample of an auditor."""
CHECKPOINTS = "checkpoints/"
COMPLETENESS = "completeness.json"

Head = tuple[int, bytes]


def seed_of(lake: str, tenant: str, from_unix_nano: object, to_unix_nano: object, controls_hash: str) -> str:
    """The seed of a pack's samples: nobody chooses it, and everybody can work it out."""
    return hashlib.sha256(f"{lake}/{tenant}/{from_unix_nano}/{to_unix_nano}/{controls_hash}".encode()).hexdigest()


def check_manifest(manifest: dict[str, Any]) -> list[str]:
    """Check the seed, the size of samples, and that each control stands for itself; returns what does not fit."""
    problems = []
    named = [manifest[name] for name in ("lake", "tenant", "from_unix_nano", "to_unix_nano", "controls_hash")]
    if manifest["seed"] != seed_of(*named):
        problems.append(
            "manifest.json: expected the seed that follows from lake, tenant, period and controls, got another"
        )
    if manifest["sample_size"] != SAMPLE_SIZE:
        problems.append(f"manifest.json: expected samples of {SAMPLE_SIZE}, got {manifest['sample_size']}")
    for key in ("id", "folder"):
        found = [control[key] for control in manifest["controls"]]
        problems += [
            f"manifest.json: the control {each} stands there twice"
            for each in sorted({one for one in found if found.count(one) > 1})
        ]
    return problems


def check_heads(
    read: Callable[[str], bytes], manifest: dict[str, Any], keys: list[tuple[str, bytes]]
) -> tuple[dict[str, Head], list[str]]:
    """The head of each log that the pack holds, by shard, and what does not fit: each is signed, and accounted for."""
    heads: dict[str, Head] = {}
    problems = []
    for name in sorted(name for name in manifest["files"] if name.startswith(CHECKPOINTS)):
        shard = name[len(CHECKPOINTS) :]
        origin = f"{manifest['lake']}/{manifest['tenant']}/{shard}"
        try:
            heads[shard] = head_of(read(name), origin, keys)
        except (PackError, ValueError, IndexError, KeyError) as exc:
            problems.append(f"{name}: {exc}")
    if not heads:
        problems.append("the pack holds no checkpoint that fits: there is nothing that its records are sealed by")
    logs = {str(log["shard"]): log["size"] for log in json.loads(read(COMPLETENESS))["logs"]}
    problems += [
        f"{COMPLETENESS}: log {shard}: expected an account of each log whose checkpoint is there, and of no other"
        for shard in sorted(set(logs) ^ set(heads))
    ]
    problems += [
        f"{COMPLETENESS}: log {shard}: expected an account of at least {size:,} records, got one of {logs[shard]:,}"
        for shard, (size, _) in sorted(heads.items())
        if logs.get(shard, size) < size
    ]
    return heads, problems


def check_exceptions(listed: list[dict[str, str]], where: str, rows: list[dict[str, str]]) -> list[str]:
    """Check that `exceptions.csv` lists the exceptions of the population and nothing else; returns what does not fit."""
    if listed == [row for row in rows if row["ok"] != "true"]:
        return []
    return [f"{where}/exceptions.csv: expected the exceptions of the population, got other rows"]


def losses_of(completeness: dict[str, Any]) -> dict[str, int]:
    """What an account of records says that does not fit, by kind: `missing`, `altered`, and whatever else was found; empty where all fits."""
    found = {name: sum(log[name] for log in completeness["logs"]) for name in ("missing", "altered")}
    for each in (each for log in completeness["logs"] for each in log["findings"]):
        if each["kind"] not in ("missing", "altered"):
            found[each["kind"]] = found.get(each["kind"], 0) + 1
    found = {name: count for name, count in found.items() if count}
    # a log that vanished stands in no account of a log
    return found or ({"broken": 1} if completeness["result"] == "broken" else {})


def losses_text(losses: dict[str, int]) -> str:
    """The same in words."""
    if "broken" in losses:
        return "its records do not fit their seals"
    return ", ".join(f"{count:,} {name}" for name, count in losses.items())


def check_account(completeness: dict[str, Any]) -> list[str]:
    """Check that an account that names what does not fit says that it is broken, and that its figures add up; returns what does not."""
    problems = [
        f"{COMPLETENESS}: log {log['shard']}: expected {log['size']:,} record numbers accounted for, got "
        f"{log['present'] + log['purged'] + log['missing']:,}"
        for log in completeness["logs"]
        if log["present"] + log["purged"] + log["missing"] < log["size"] and not log["findings"]
    ]
    if losses_of(completeness) and completeness["result"] != "broken":
        problems.append(
            f"{COMPLETENESS}: expected the result broken where something is missing or altered, got another"
        )
    return problems


def head_of(note: bytes, origin: str, keys: list[tuple[str, bytes]]) -> Head:
    """Size and root that a checkpoint of a log tells.

    Raises:
        PackError: it is of another log, or not signed by one of the keys.
    """
    text = note.decode()
    lines = text.split("\n")
    if lines[0] != origin:
        raise PackError(f"expected a checkpoint of {origin}, got one of {lines[0][:200]}")
    if not is_signed(text, origin, keys, None):
        raise PackError("its checkpoint is not signed by a key that you trust")
    return int(lines[1]), base64.b64decode(lines[2], validate=True)


def check_note(
    note: bytes, text: str, name: str, own: list[tuple[str, bytes]], signers: list[str] | None
) -> str | None:
    """Check that the manifest's signature is written in the one way there is; returns what is not.

    A signature's text has bits that say nothing, and a note takes lines that nobody knows: here neither may hold anything.
    `signers` are the fingerprints of those who signed, as the manifest names them, in order.
    """
    head = f"{text}\n"
    whole = note.decode()
    lines = whole[len(head) :].split("\n") if whole.startswith(head) else []
    by = [_signer(line, text, name, own) for line in lines[:-1]]
    known = [each for each in by if each is not None]
    if not known or known != by or lines[-1] or len(set(known)) != len(known):
        return "expected signatures by keys of the pack alone, each once and as they are written, got another line"
    if signers is not None and known != signers:
        return "expected a signature by each key that the manifest names, in order, got others"
    return None


def _signer(line: str, text: str, name: str, own: list[tuple[str, bytes]]) -> str | None:
    """Fingerprint of the key whose signature a line is; None where it is none, or written in another way."""
    signer, _, encoded = line[len(DASH) :].partition(" ")
    if not line.startswith(DASH) or signer != name:
        return None
    content = base64.b64decode(encoded, validate=True)
    if base64.b64encode(content).decode() != encoded:
        return None
    for _, key in own:
        if content[:KEY_ID_BYTES] == key_id(name, key) and fits(key, content[KEY_ID_BYTES:], text.encode()):
            return fingerprint(key)
    return None


def check_places(where: str, rows: Iterable[dict[str, str]], heads: dict[str, Head]) -> list[str]:
    """Check that every record of a population stands below the head of a log that the pack holds; returns the first that does not."""
    for row in rows:
        if row["shard"] not in heads or not 0 <= int(row["log_index"]) < heads[row["shard"]][0]:
            place = f"{row['record_table']} {row['shard']}/{row['log_index']}"
            return [f"{where}: {place}: expected a record of a log whose checkpoint is there, got one of none"]
    return []


def check_finding(read: Callable[[str], bytes], manifest: dict[str, Any], control: dict[str, Any]) -> list[str]:
    """Check that `finding.json` says what the manifest says; returns what it does not."""
    where = f"controls/{control['folder']}"
    said = json.loads(read(f"{where}/finding.json"))
    population = hashlib.sha256(read(f"{where}/population.csv")).hexdigest()
    expected = {
        "control": control["id"],
        "finding": control["state"],
        "items": control["items"],
        "exceptions": control["exceptions"],
        "covered": control["covered"],
        "population_sha256": population,
        "seed": manifest["seed"],
        "extracted_unix_nano": manifest["as_of_unix_nano"],
        "parameters": {"from": manifest["from_unix_nano"], "to": manifest["to_unix_nano"]},
    }
    problems = [
        f"{where}/finding.json: expected {name} {value!r}, got {said.get(name)!r}"
        for name, value in expected.items()
        if said.get(name) != value
    ]
    if control["population_sha256"] != population:
        problems.append(f"{where}: expected the population that the manifest names, got another")
    return problems
