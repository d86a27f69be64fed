"""The lake that subjects are searched in: the one of `query_lake`, its traces given persons. Made once, kept in the cache.

Each trace is of one of 20,000 persons of its tenant, some of whom come far more often than others. Five spans of eight name the
person under `user_id`, and so does each content part under `subjects`; every fourth part names another person too. The person
searched for has one trace on each of 20 days of one tenant.
"""

import json
import shutil
from base64 import b32encode
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.machine import cache_folder
from benchmarks.query_lake import TENANTS, make_compacted
from benchmarks.spans import SPANS_PER_TRACE
from warehouse.lake import Lake
from warehouse.treated import RecordSet

PERSON_DAYS = 20
PERSON = "sub_" + "b" * 25 + "a"
"""The token searched for, in the benchmarks' first tenant."""

_PERSONS = 20_000
_SEED = 33
_FORMAT = 1
_NAMED = np.array([True, True, False, True, True, False, False, True])
_OTHER_EVERY = 4
_SKEW = 1.5


@dataclass(frozen=True)
class SubjectLake:
    """A lake of `spans` rows and their contents."""

    lake: Lake
    spans: int


def subject_lake(spans: int) -> SubjectLake:
    """The lake of about `spans` spans, made if the cache does not hold it."""
    folder = cache_folder() / f"subjects-{spans}"
    description = folder / "description.json"
    if not description.exists() or json.loads(description.read_text(encoding="utf8"))["format"] != _FORMAT:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _, total, _ = make_compacted(folder, spans, _Persons(np.random.default_rng(_SEED)).name)
        description.write_text(json.dumps({"format": _FORMAT, "spans": total}), encoding="utf8")
    made = json.loads(description.read_text(encoding="utf8"))
    return SubjectLake(Lake((folder / "lake").absolute()), made["spans"])


class _Persons:
    """Tokens of persons, put into records as redaction puts them."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._tokens = {tenant: _tokens(random, tenant) for tenant in TENANTS}
        self._placed: set[int] = set()

    def name(self, records: RecordSet, tenant: str, day: int) -> RecordSet:
        """The records, each trace of them one person's."""
        spans, contents = records.tables["spans"], records.tables["contents"]
        of_trace = self._draw(spans.num_rows // SPANS_PER_TRACE)
        if tenant == TENANTS[0] and day < PERSON_DAYS and day not in self._placed:
            self._placed.add(day)
            of_trace[0] = 0
        of_span = np.repeat(of_trace, SPANS_PER_TRACE)
        unnamed = ~np.resize(_NAMED, spans.num_rows)
        tokens = self._tokens[tenant]
        owners = contents.column("owner_index").to_numpy()
        others = np.arange(contents.num_rows) % _OTHER_EVERY == 0
        return RecordSet({
            "spans": _replace(spans, {
                "user_id": tokens.take(pa.array(of_span, mask=unnamed)),
                "subjects": _lists(tokens, [(np.arange(spans.num_rows)[~unnamed], of_span[~unnamed])], spans.num_rows),
            }),
            "contents": _replace(contents, {
                "subjects": _lists(
                    tokens,
                    [
                        (np.arange(contents.num_rows), of_span[owners]),
                        (np.flatnonzero(others), self._draw(int(others.sum()))),
                    ],
                    contents.num_rows,
                )
            }),
        })  # fmt: skip

    def _draw(self, count: int) -> npt.NDArray[np.int64]:
        # number 0 is the person searched for
        return (1 + (_PERSONS - 1) * self._random.random(count) ** _SKEW).astype(np.int64)


def _tokens(random: np.random.Generator, tenant: str) -> pa.Array:
    digests = [random.bytes(16) for _ in range(_PERSONS)]
    tokens = ["sub_" + b32encode(digest).decode().rstrip("=").lower() for digest in digests]
    if tenant == TENANTS[0]:
        tokens[0] = PERSON
    return pa.array(tokens)


def _lists(
    tokens: pa.Array, pairs: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], rows: int
) -> pa.ListArray:
    """Each row's tokens; NULL where there are none."""
    owner = np.concatenate([rows_of for rows_of, _ in pairs])
    order = np.argsort(owner, kind="stable")
    values = tokens.take(pa.array(np.concatenate([of for _, of in pairs])[order]))
    counts = np.bincount(owner, minlength=rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets, mask=np.append(counts == 0, False)), values)
    return lists.cast(pa.list_(pa.field("element", pa.string())))


def _replace(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
