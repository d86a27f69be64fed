"""The columns that say what was found in a record: class, categories, counts of redactions, policy, subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.redact.detector import Category, DataClass
from collectors.redact.findings import IDENTITY, Findings
from collectors.redact.policy import RedactionPolicy

_LABELS = pa.array([one.label for one in DataClass], pa.string())
_PII = msgspec.json.encode([Category.PII.value]).decode()

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class TableFindings:
    """What was found in a table's rows.

    `rows` holds rows that went the careful way. `identities` counts ids of persons replaced by position, for every row, and
    (`subject_rows`, `subject_tokens`) are their tokens, a row and a token a pair.
    """

    rows: dict[int, Findings] = field(default_factory=dict)
    identities: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    subject_rows: list[Ints] = field(default_factory=list)
    subject_tokens: list[pa.StringArray] = field(default_factory=list)

    def note(self, row: int, findings: Findings) -> None:
        """Add to what was found in a row."""
        if not findings.is_nothing:
            self.rows.setdefault(row, Findings()).add(findings)


def classify_rows(
    batch: pa.RecordBatch, found: TableFindings, policy: RedactionPolicy, *, contents: bool = False
) -> pa.RecordBatch:
    """The batch with its classification columns filled, as far as the table has them."""
    rows = batch.num_rows
    tenants = batch.column("tenant_id").unique().to_pylist()
    classes = _classes(found, policy, batch, tenants, contents=contents)
    columns = {
        "data_class": lambda: _LABELS.take(pa.array(classes)),
        "categories": lambda: _categories(rows, found),
        "redactions": lambda: _redactions(rows, found),
        "redaction_policy": lambda: _hashes(batch, policy, tenants),
        "subjects": lambda: _subjects(rows, found),
    }
    arrays = [columns[name]() if name in columns else batch.column(name) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _by_tenant(batch: pa.RecordBatch, tenants: Sequence[str], values: Sequence[int]) -> npt.NDArray[np.int8]:
    """A number a row, by the row's tenant."""
    if len(set(values)) <= 1:
        return np.full(batch.num_rows, values[0] if values else 0, np.int8)
    encoded = batch.column("tenant_id").dictionary_encode()
    by_name = dict(zip(tenants, values, strict=True))
    chosen: npt.NDArray[np.int8] = np.array([by_name[name] for name in encoded.dictionary.to_pylist()], np.int8)
    by_row: npt.NDArray[np.int8] = chosen[encoded.indices.to_numpy()]
    return by_row


def _classes(
    found: TableFindings,
    policy: RedactionPolicy,
    batch: pa.RecordBatch,
    tenants: Sequence[str],
    *,
    contents: bool,
) -> npt.NDArray[np.int8]:
    policies = [policy.for_tenant(tenant) for tenant in tenants]
    defaults = [one.contents_class if contents else one.default_class for one in policies]
    classes = _by_tenant(batch, tenants, [int(one) for one in defaults])
    if len(found.identities):
        np.maximum(classes, np.where(found.identities > 0, int(DataClass.CONFIDENTIAL), 0).astype(np.int8), out=classes)
    for row, findings in found.rows.items():
        classes[row] = max(int(classes[row]), int(findings.data_class))
    return classes


def _categories(rows: int, found: TableFindings) -> pa.StringArray:
    identities = found.identities if len(found.identities) else np.zeros(rows, np.int64)
    if not found.rows:
        return pa.array([None, _PII], pa.string()).take(pa.array((identities > 0).astype(np.int8)))
    texts: list[str | None] = [None, _PII]
    places: dict[str | None, int] = {None: 0, _PII: 1}
    codes = (identities > 0).astype(np.int32)
    for row, findings in found.rows.items():
        names = {*findings.categories, *([Category.PII] if identities[row] else [])}
        text = msgspec.json.encode(sorted(names)).decode() if names else None
        if text not in places:
            places[text] = len(texts)
            texts.append(text)
        codes[row] = places[text]
    return pa.array(texts, pa.string()).take(pa.array(codes))


def _redactions(rows: int, found: TableFindings) -> pa.StringArray:
    identities = found.identities if len(found.identities) else np.zeros(rows, np.int64)
    known, codes = np.unique(identities, return_inverse=True)
    texts: list[str | None] = [_counts({IDENTITY: count}) for count in known.tolist()]
    codes = codes.astype(np.int64)
    for row, findings in found.rows.items():
        counts = findings.counts | {IDENTITY: findings.counts.get(IDENTITY, 0) + int(identities[row])}
        codes[row] = len(texts)
        texts.append(_counts(counts))
    return pa.array(texts, pa.string()).take(pa.array(codes))


def _counts(counts: Mapping[str, int]) -> str | None:
    present = {name: count for name, count in sorted(counts.items()) if count}
    return msgspec.json.encode(present).decode() if present else None


def _hashes(batch: pa.RecordBatch, policy: RedactionPolicy, tenants: Sequence[str]) -> pa.StringArray:
    hashes = [policy.for_tenant(tenant).hash for tenant in tenants]
    unique = list(dict.fromkeys(hashes))
    codes = _by_tenant(batch, tenants, [unique.index(one) for one in hashes])
    return pa.array(unique, pa.string()).take(pa.array(codes))


def _subjects(rows: int, found: TableFindings) -> pa.ListArray:
    """Each row's tokens, once each and sorted; NULL where there is none."""
    careful = [(row, token) for row, findings in found.rows.items() for token in sorted(findings.tokens)]
    if not careful and not found.subject_rows:
        return pa.nulls(rows, pa.list_(pa.field("element", pa.string())))
    owners = np.concatenate([*found.subject_rows, np.array([row for row, _ in careful], np.int64)])
    tokens = pa.concat_arrays([*found.subject_tokens, pa.array([token for _, token in careful], pa.string())])
    encoded = tokens.dictionary_encode()
    ranks = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), object)))
    # sorted pairs, each once: by row, and within a row by the token's text
    pairs = np.unique(owners * (len(ranks) + 1) + ranks[encoded.indices.to_numpy()])
    owners, places = pairs // (len(ranks) + 1), pairs % (len(ranks) + 1)
    by_rank = np.argsort(ranks)
    counts = np.bincount(owners, minlength=rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, mask=np.append(counts == 0, False)), encoded.dictionary.take(pa.array(by_rank[places]))
    )
    return lists.cast(pa.list_(pa.field("element", pa.string())))
