"""In which rows of a batch a person stands: by the columns that redaction fills, and by any text. Pure, in columns.

| asked | columns | match |
|---|---|---|
| tokens, values | `subjects`, `user_id`, `actor_id`, `on_behalf_of`, `subject_id`, `resource_id` | equal |
| tokens, values | every text column | anywhere in it, whatever the case of ASCII letters, in JSON's spellings too |
| attributes | `attributes`, `resource`, `envelope`, `events`, `links`, `body`, `exemplars` | a member of a JSON object, exactly |

The first kind costs a small part of a file's bytes, and finds every row whose token redaction put there: `subjects` lists all of them.
The others are for what redaction missed and what a policy keeps.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from retention.holding import Mask
from retention.persons import IDENTITY_COLUMNS, SUBJECTS
from retention.subject_finds import AttributeTerm, SubjectTerms

ACTING = ("actor_id", "on_behalf_of")
"""Columns that say who acted."""

ACTING_KEYS = ("audit.actor.id", "audit.on_behalf_of")
"""The attributes that these columns are read from, and that stay beside them."""

_JSON_COLUMNS = ("attributes", "resource", "envelope", "events", "links", "body", "exemplars")


def named_columns(table: str) -> tuple[str, ...]:
    """The columns of a table that redaction fills with tokens."""
    return (*IDENTITY_COLUMNS[table], SUBJECTS)


def match_named(table: str, rows: pa.RecordBatch, terms: SubjectTerms) -> tuple[dict[str, Mask], Mask]:
    """Rows in which a token, or a value instead of one, stands in a column that redaction fills; and those with a value."""
    found: dict[str, Mask] = {}
    clear = np.zeros(rows.num_rows, np.bool_)
    for name in named_columns(table):
        if name not in rows.schema.names:
            continue  # the file is older than the column
        column = rows.column(name)
        is_in = _lists_any if name == SUBJECTS else _equals_any
        found[name] = is_in(column, terms.words)
        if terms.values and found[name].any():
            clear |= is_in(column, terms.values)
    return {name: mask for name, mask in found.items() if mask.any()}, clear


def match_texts(rows: pa.RecordBatch, terms: SubjectTerms) -> tuple[dict[str, Mask], Mask]:
    """Rows in which a token or value stands anywhere in a text, or an attribute in a JSON text; and those with a value."""
    frame = pl.DataFrame(rows)
    found: dict[str, Mask] = {}
    clear = np.zeros(rows.num_rows, np.bool_)
    spellings = [form for value in terms.values for form in spellings_of(value)]
    words = [*terms.tokens, *spellings]
    for name, kind in frame.schema.items():
        if not _is_text(kind):
            continue
        texts = _texts(frame, name)
        mask = _contains_any(texts, words)
        if mask.any() and spellings:
            clear |= _contains_any(texts, spellings)
        if name in _JSON_COLUMNS and terms.attributes:
            mask |= _has_member(texts, terms.attributes)
        if mask.any():
            found[name] = mask
    return found, clear


def only_acts(rows: pa.RecordBatch, terms: SubjectTerms) -> Mask:
    """Which of these audit events name the person as who acted, or for whom, and nowhere else.

    `attributes` holds what these columns were read from: there the person does not count as named once more.
    """
    acting = np.zeros(rows.num_rows, np.bool_)
    for name in ACTING:
        acting |= _equals_any(rows.column(name), terms.words)
    frame = pl.DataFrame(rows).drop(*ACTING, SUBJECTS)
    pairs = [
        f"{json.dumps(key)}:{json.dumps(word, ensure_ascii=ascii_)}"
        for key in ACTING_KEYS
        for word in terms.words
        for ascii_ in (False, True)
    ]
    if pairs:
        frame = frame.with_columns(pl.col("attributes").str.replace_many(pairs, [""] * len(pairs)))
    elsewhere, _ = (
        match_texts(frame.to_arrow().combine_chunks().to_batches()[0], terms) if rows.num_rows else ({}, None)
    )
    for mask in elsewhere.values():
        acting &= ~mask
    return acting


def spellings_of(value: str) -> tuple[str, ...]:
    """How a value may be written in a text: composed and decomposed, in either case, as it is and as JSON writes it."""
    forms = [form for kind in ("NFC", "NFD") for form in (unicodedata.normalize(kind, value.strip()),)]
    forms += [cased for form in forms for cased in (form.lower(), form.upper())]
    written = [json.dumps(form, ensure_ascii=ascii_)[1:-1] for form in forms for ascii_ in (False, True)]
    return tuple(dict.fromkeys([*forms, *written]))


def ascii_lower(text: str) -> str:
    """A text with its ASCII letters in lower case, and nothing else changed."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def attribute_pattern(terms: Iterable[AttributeTerm]) -> str:
    """A pattern for any of these members of a JSON object. Inside of a JSON string quotes are escaped, so nothing else has this form."""
    return "|".join(rf"{_json_string(term.json_name)}\s*:\s*{_json_value(term)}\s*(?:[,}}\]]|$)" for term in terms)


def _json_value(term: AttributeTerm) -> str:
    return _json_string(term.json_value) if isinstance(term.value, str) else re.escape(term.json_value)


def _json_string(text: str) -> str:
    """A JSON string, with what is not ASCII escaped or not."""
    escaped = json.dumps(json.loads(text))
    return re.escape(text) if escaped == text else f"(?:{re.escape(text)}|{re.escape(escaped)})"


def _has_member(texts: pl.Series, terms: Sequence[AttributeTerm]) -> Mask:
    mask: Mask = texts.str.contains(attribute_pattern(terms)).fill_null(value=False).to_numpy()
    return mask


def _contains_any(texts: pl.Series, words: Sequence[str]) -> Mask:
    if not words:
        return np.zeros(len(texts), np.bool_)
    found = texts.to_frame("text").select(pl.col("text").str.contains_any(list(words), ascii_case_insensitive=True))
    mask: Mask = found.to_series().fill_null(value=False).to_numpy()
    return mask


def _texts(frame: pl.DataFrame, name: str) -> pl.Series:
    column = frame.get_column(name)
    return column.list.join("\n", ignore_nulls=True) if isinstance(column.dtype, pl.List) else column


def _is_text(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.String) or (isinstance(kind, pl.List) and isinstance(kind.inner, pl.String))


def _equals_any(column: pa.Array, words: Sequence[str]) -> Mask:
    found = pc.is_in(column, value_set=pa.array(words, pa.string()))
    mask: Mask = found.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def _lists_any(lists: pa.Array, words: Sequence[str]) -> Mask:
    mask = np.zeros(len(lists), np.bool_)
    found = _equals_any(pc.list_flatten(lists), words)
    mask[pc.list_parent_indices(lists).to_numpy()[found]] = True
    return mask
