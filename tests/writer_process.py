"""Processes that tests kill: a writer that dies at a chosen durable step, one that writes until killed, and a reader.

Run as `python tests/writer_process.py COMMAND LAKE …` with the project's root in PYTHONPATH. Nothing of the product
knows of this: the steps are counted around the operating system's own calls. The writer keeps its logs, and every checkpoint
that came under its name, before and after each death, is held against the log at the end.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import logs
import rows
from deltalake import DeltaTable

from warehouse.commit import open_stores
from warehouse.lake import Lake, make_lake
from warehouse.ledger.checkpoint import log_origin
from warehouse.ledger.signing import make_keys, read_signing_keys
from warehouse.ledger.verify import VerifyOptions, verify_lake
from warehouse.marks import read_marks
from warehouse.treated import UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

FLUSHES = ("fsync", "fdatasync")
DURABLE_CALLS = (*FLUSHES, "write", "pwrite", "rename", "replace", "unlink", "rmdir", "ftruncate", "mkdir")
DIED, FINISHED = 9, 0
TABLES = ("spans", "audit_events", "logs", "contents")
LAKE_NAME = "test"
BATCH_ROWS = 3
STEP_ROWS = 50
"""Three ledgered tables of it are 150 entries a batch: the second batch of a log fills a tile, and its partial one goes."""


def say(text):
    """Tell the test something, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def open_one(lake, **settings):
    """Open the shard `main`; it commits when told."""
    hour = {"commit_interval_seconds": 3600.0, "max_commit_interval_seconds": 3600.0}
    return open_writer(
        lake, "main", rows.FileClaims(lake.path / "claims.json"), open_stores(lake),
        config=WriterConfig(**{**hour, **settings}), clock=lambda: rows.NOW,
        lake_name=LAKE_NAME, redactor=UnsafeKeepAll(),
    )  # fmt: skip


def die_at(step):
    """Make the process end, as by kill -9, before its `step`-th call that changes a disk."""
    count = [0]

    def counted(real, changes=lambda *_: True):
        def call(*arguments, **keywords):
            count[0] += changes(*arguments)
            if count[0] == step:
                os._exit(DIED)
            return real(*arguments, **keywords)

        return call

    for name in DURABLE_CALLS:
        setattr(os, name, counted(getattr(os, name)))
    os.open = counted(os.open, lambda _, flags, *__: bool(flags & os.O_CREAT))
    DeltaTable.create_write_transaction = counted(DeltaTable.create_write_transaction)


def watch(lake):
    """Note each checkpoint as it comes under its name, and leave the flushes out.

    Whatever a process wrote outlives it, flushed or not, so they only cost time here; their places in the order still count.
    """
    notes = os.open(lake.path / "checkpoints", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rename = os.rename

    def watched(old, new, **keywords):
        rename(old, new, **keywords)
        if Path(new).name == "checkpoint":
            os.writev(notes, [json.dumps(Path(new).read_text()).encode() + b"\n"])

    os.rename = watched
    for name in FLUSHES:
        setattr(os, name, lambda _descriptor: None)


def note_checkpoints(lake):
    """Note the checkpoints that stand there now, from outside of the process that wrote them."""
    with (lake.path / "checkpoints").open("a") as notes:
        notes.writelines(f"{json.dumps(note)}\n" for note in logs.checkpoints_on_disk(lake))


def write_script(lake, acknowledged):
    """What the dying writer does: groups of two tenants, two commits, one of them with import progress alone."""
    writer = open_one(lake)
    for tag, tenant in (("a", "acme"), ("b", "globex")):
        write_one(writer, acknowledged, tag, rows.whole_batch(tag, STEP_ROWS, tenant=tenant))
    writer.flush()
    write_one(writer, acknowledged, "c", rows.whole_batch("c", STEP_ROWS))
    write_one(writer, acknowledged, "", rows.treated(transactions=[("import/abc", 1)]))
    writer.stop()


def write_one(writer, acknowledged, tag, batch):
    """Append one batch and note its tag once it is acknowledged."""
    writer.append(batch).result(60)
    # straight to the descriptor: the note must be there if the process ends at its next step
    os.writev(acknowledged, [f"{tag}\n".encode()])


def problems_of(lake, acknowledged, before):
    """What is wrong in a lake after its writer died and another one took over; nothing should be."""
    found = []
    counts = {table: rows.batches_of(rows.read_table(lake, table)) for table in TABLES[:3]}
    counts["contents"] = rows.Counter(
        body.split("|")[0] for body in rows.read_table(lake, "contents").column("body").to_pylist()
    )
    for table, found_rows in counts.items():
        found += [f"{table}: batch {tag} has {n} rows" for tag, n in found_rows.items() if n != STEP_ROWS]
        found += [
            f"{table}: acknowledged batch {tag} is missing" for tag in acknowledged if tag and tag not in found_rows
        ]
        if set(found_rows) != set(counts["spans"]):
            found.append(f"{table} has batches {sorted(found_rows)}, spans {sorted(counts['spans'])}")
    numbers_of = rows.indices(lake, marks=False)
    if len({shard for _, shard in numbers_of}) != 1:
        found.append(f"a crash is no reason for another identity: {sorted(numbers_of)}")
    for log, numbers in numbers_of.items():
        if numbers != list(range(len(numbers))):
            found.append(f"log {log}: indices {numbers}")
    for path, digest in rows.hashes(lake).items():
        if before.get(path, digest) != digest:
            found.append(f"{path} was written again with other bytes")
    return found


def problems_of_logs(lake):
    """What is wrong with the logs: forked, rewound, cut, not said to have begun, or named by the verifier."""
    note_checkpoints(lake)
    seen = [json.loads(line) for line in (lake.path / "checkpoints").read_text().splitlines()]
    tables = {table: rows.read_table(lake, table) for table in rows.LEDGERED}
    found = logs.problems_of_logs(lake, LAKE_NAME, tables, seen)
    events = tables["audit_events"].to_pylist()
    opened = {event["resource_id"] for event in events if event["event_name"] == "log.opened"}
    origins = {log_origin(LAKE_NAME, *log) for log in rows.indices(lake)}
    if opened != origins:
        found.append(f"logs said to be opened {sorted(opened)}, there are {sorted(origins)}")
    vkeys = tuple(read_signing_keys(lake.keys).verifiers(LAKE_NAME))
    report = verify_lake(lake, lake_name=LAKE_NAME, options=VerifyOptions(vkeys=vkeys))
    return found + [f"verify: {log.origin}: {finding}" for log in report.logs for finding in log.findings]


def visible_parts(lake, batch_rows):
    """Batches of which a reader sees a part, while nobody takes over yet."""
    marks = read_marks(lake)
    counts = [rows.batches_of(rows.read_table(lake, table, marks=marks)) for table in TABLES[:3]]
    tags = set().union(*counts)
    return [
        f"reader sees {[c[tag] for c in counts]} of {tag}" for tag in tags if {c[tag] for c in counts} != {batch_rows}
    ]


def in_child(work):
    """Run `work` in a forked process and return its exit code: every round starts from the same clean memory."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - reported by the exit code and the text
            sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(FINISHED)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def make_template(path):
    """A lake with its keys and empty tables."""
    lake = make_lake(path)
    make_keys(lake.keys, now_unix_nano=rows.NOW)
    open_stores(lake)


def run_steps(folder, first, stride, rewind):
    """For every `stride`-th step: die there, look, take over (dying `rewind` steps into that too), look again."""
    template = folder / "template"
    in_child(lambda: make_template(template))
    step, done = first, False
    while not done:
        lake = Lake(folder / f"at-{step}")
        shutil.copytree(template, lake.path)
        notes = os.open(lake.path / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def die(lake=lake, step=step, notes=notes):
            watch(lake)
            die_at(step)
            write_script(lake, notes)

        code = in_child(die)
        done = code == FINISHED
        if code not in (DIED, FINISHED):
            say(json.dumps({"step": step, "problems": [f"writer ended with {code}"]}))
            return
        seen, report = folder / f"seen-{step}", folder / f"report-{step}"
        in_child(lambda lake=lake, seen=seen: look(lake, seen))
        note_checkpoints(lake)
        if rewind:
            in_child(lambda lake=lake, step=step: (watch(lake), die_at(1 + step % rewind), open_one(lake).stop()))
            note_checkpoints(lake)
        if in_child(lambda lake=lake, seen=seen, report=report: recover(lake, seen, report)) != FINISHED:
            report.write_text(json.dumps(["recovery failed"]))
        say(json.dumps({"step": step, "problems": json.loads(report.read_text())}))
        os.close(notes)
        shutil.rmtree(lake.path)
        step += stride


def look(lake, seen):
    """Look at a lake as its writer's death left it: what a reader sees in part, and files that must not change."""
    live = {f"{table}/{path}" for table in TABLES for path in rows.live_files(lake, table)}
    # a file cut in its writing is no file yet; where one table has its segment, all files of it were whole
    whole = {segment_of(path) for path in live}
    files = {path: digest for path, digest in rows.hashes(lake).items() if segment_of(path) in whole}
    seen.write_text(json.dumps([visible_parts(lake, STEP_ROWS), files]))


def recover(lake, seen, report):
    """Look again as a reader does, take the shard over, and write down what is wrong then."""
    found, before = json.loads(seen.read_text())
    found += visible_parts(lake, STEP_ROWS)
    watch(lake)
    writer = open_one(lake)
    writer.append(rows.whole_batch("after", STEP_ROWS)).result(60)
    writer.flush()
    writer.stop()
    acknowledged = (lake.path / "acknowledged").read_text().split("\n")[:-1]
    report.write_text(json.dumps(found + problems_of(lake, [*acknowledged, "after"], before) + problems_of_logs(lake)))


def segment_of(path):
    """Shard and segment of a file, by its name."""
    return Path(path).name.rpartition("-")[0]


def write_until_killed(path, prefix, port):
    """Write batches of spans and audit events as fast as they are acknowledged, naming each once it is."""
    lake = Lake(path)
    make_keys(lake.keys, now_unix_nano=rows.NOW)
    writer = open_one(lake, commit_interval_seconds=0.03)
    say("ready")
    waiting, number = [], 0
    while True:
        tag = f"{prefix}-{number}"
        waiting.append((tag, writer.append(rows.whole_batch(tag, BATCH_ROWS, tenant=("acme", "globex")[number % 2]))))
        number += 1
        if len(waiting) >= 4:
            tag, future = waiting.pop(0)
            future.result(60)
            os.write(port, f"{tag}\n".encode())


def read_until_told(path, stop):
    """Read through the marks over and over; print each batch of which a part was seen, and how often it looked."""
    lake, looked = Lake(path), 0
    while not stop.exists():
        for line in visible_parts(lake, BATCH_ROWS):
            say(line)
        looked += 1
    say(f"looked {looked} times")


def main():
    """Do what the first argument says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["steps", "write", "take", "read"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--rewind", type=int, default=0)
    parser.add_argument("--prefix", default="")
    arguments = parser.parse_args()
    if arguments.command == "steps":
        run_steps(arguments.folder, arguments.first, arguments.stride, arguments.rewind)
    elif arguments.command == "write":
        write_until_killed(arguments.folder, arguments.prefix, sys.stdout.fileno())
    elif arguments.command == "take":
        open_one(Lake(arguments.folder)).stop()
    else:
        read_until_told(arguments.folder, arguments.folder / "stop")


if __name__ == "__main__":
    main()
