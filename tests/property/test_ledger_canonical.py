"""Canonical JSON of documents: the same bytes as the RFC's reference gives, or a refusal."""

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.certificates import ContentParts, Deleted, MetricPoints, PurgeCertificate, Run, canonical_json
from warehouse.ledger.errors import CertificateError

MAX_INTEGER = (1 << 53) - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(max_codepoint=127), max_size=8)
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
details = st.dictionaries(names, values, max_size=5)
counts = st.integers(0, MAX_INTEGER)
deletions = st.builds(
    Deleted,
    runs=st.tuples(st.builds(Run, st.sampled_from(["spans", "logs"]), texts, texts, counts, counts)),
    contents=st.tuples(st.builds(ContentParts, texts, texts, counts, st.tuples(texts, texts))),
    metrics=st.tuples(st.builds(MetricPoints, texts, texts, counts)),
)
certificates = st.builds(
    PurgeCertificate, lake=texts, purge_id=texts, time_unix_nano=texts, intent_sha256=texts, plan_sha256=texts,
    policy_sha256=texts, ordered_by=texts, approved_by=st.none() | texts, deleted=deletions, kept=deletions, details=details,
)  # fmt: skip


@given(certificates)
def test_documents_are_spelled_as_rfc_8785_says(certificate):
    """Escapes, text of any script, big integers, names in their order: byte for byte what another implementation writes."""
    assert canonical_json(certificate) == rfc8785.dumps(msgspec.to_builtins(certificate))


REFUSED = [
    ("a float", {"a": [1.5]}),
    ("a whole float", {"a": 1.0}),
    ("no number", {"c": 1, "b": float("nan")}),
    ("too big", {"a": {"b": 2**53}}),
    ("too small", {"c": {"b": -(2**53)}}),
    ("half a surrogate pair", {"a": "\ud800"}),
    ("names whose order by UTF-16 is another than by code point", {"\U0001f600": 1, "\ufb00": 2}),
]


@pytest.mark.parametrize("details", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_not_every_reader_reads_alike_is_refused(details):
    """Floats, integers beyond 2^53 - 1, text that is none, names outside ASCII: a document never holds them."""
    document = PurgeCertificate(
        "test", "p1", "1", "0" * 64, "0" * 64, "0" * 64, "user:officer", Deleted(), details=details
    )
    with pytest.raises(CertificateError, match="expected"):
        canonical_json(document)
