"""fluent-bit's matrix of OTLP/JSON cases: which inputs are errors, and where OTLP's specification sees it otherwise.

The cases are fluent-bit's; only their inputs and whether they are errors are used. An error there is here either the whole
body refused or at least one record refused by name.
"""

import json
import os
from pathlib import Path

import pytest

from collectors.exports import IntakeLimits, Signal
from collectors.otlp_json import parse
from warehouse.errors import DecodeError

CORPUS = Path(os.environ.get("MUNIMENT_CORPUS") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
MATRIX = CORPUS / "otlp" / "fluent-bit"

EMPTY_LIST = "legal: in proto3 JSON an absent list is an empty one, so there is nothing to refuse"
BASE64_IDS = "understood: base64 is how protobuf's own JSON mapping writes ids, and both forms are in the wild"
EMPTY_NAME = "legal: an empty name is the default of the field and OTLP refuses no record for it"
DECODER = "left to the decoder: an absent id is the same in protobuf, and one rule there holds for both encodings"

TAKEN_HERE = {
    "logs/scopeLogs_missing": EMPTY_LIST,
    "logs/resourceLogs_missing": EMPTY_LIST,
    "logs/resource_valid_scope_missing": EMPTY_LIST,
    "logs/base64_encoded_trace_span": BASE64_IDS,
    "logs/mixed_encoding_formats": BASE64_IDS,
    "traces/resourceSpans_missing": EMPTY_LIST,
    "traces/scopeSpans_missing": EMPTY_LIST,
    "traces/spans_missing": EMPTY_LIST,
    "traces/event_missing_name": EMPTY_NAME,
    "traces/span_name_missing": DECODER,
    "traces/trace_id_zero_length": DECODER,
    "traces/span_id_zero_length": DECODER,
    "traces/link_missing_trace_id": DECODER,
    "traces/link_trace_id_zero_length": DECODER,
    "traces/link_span_id_zero_length": DECODER,
    "metrics/invalid_resource_metrics_missing": EMPTY_LIST,
    "metrics/invalid_scope_metrics_missing": EMPTY_LIST,
    "metrics/invalid_metrics_missing": EMPTY_LIST,
    "metrics/invalid_metric_name_missing": EMPTY_NAME,
    "metrics/missing_metric_type": "legal: a metric without data has no points, so there is nothing to refuse",
    "metrics/invalid_gauge_datapoints_missing": EMPTY_LIST,
    "metrics/invalid_sum_datapoints_missing": EMPTY_LIST,
    "metrics/invalid_histogram_datapoints_missing": EMPTY_LIST,
    "metrics/invalid_summary_datapoints_missing": EMPTY_LIST,
    "metrics/invalid_exponential_histogram_datapoints_missing": EMPTY_LIST,
}
REFUSED_HERE = {
    "metrics/valid_invalid_numeric_skips_points": "fluent-bit drops the point in silence; here it is counted and named",
}


def cases():
    """Every case, as `<signal>/<name>`; one that says why where the matrix is absent."""
    if not MATRIX.is_dir():
        reason = f"fluent-bit's matrix is not at {MATRIX}: set MUNIMENT_CORPUS"
        return [pytest.param(None, None, None, marks=pytest.mark.skip(reason=reason), id="matrix-absent")]
    return [
        pytest.param(f"{signal.value}/{name}", signal, case, id=f"{signal.value}/{name}")
        for signal in Signal
        for name, case in json.loads((MATRIX / f"{signal.value}.json").read_text()).items()
    ]


@pytest.mark.parametrize(("name", "signal", "case"), cases())
def test_the_matrix(name, signal, case):
    """What fluent-bit calls an error is refused here and what it takes is taken, but for the cases listed with a reason."""
    refused_there = bool(case.get("expected_error"))
    try:
        parsed = parse(signal, json.dumps(case["input"]).encode(), IntakeLimits())
    except DecodeError:
        refused_here = True
    else:
        refused_here = bool(parsed.refused)
    if name in TAKEN_HERE:
        assert (refused_there, refused_here) == (True, False), TAKEN_HERE[name]
    elif name in REFUSED_HERE:
        assert (refused_there, refused_here) == (False, True), REFUSED_HERE[name]
    else:
        assert refused_here == refused_there


@pytest.mark.skipif(not MATRIX.is_dir(), reason=f"fluent-bit's matrix is not at {MATRIX}: set MUNIMENT_CORPUS")
def test_every_exception_is_a_case():
    """Each exception listed above names a case that exists."""
    names = {case.values[0] for case in cases()}
    assert TAKEN_HERE.keys() | REFUSED_HERE.keys() <= names


@pytest.mark.skipif(not MATRIX.is_dir(), reason=f"fluent-bit's matrix is not at {MATRIX}: set MUNIMENT_CORPUS")
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("multiple_groups_second_group_fails", 1),
        ("multiple_records_middle_record_fails", 1),
        ("multiple_scopes_second_scope_fails", 1),
        ("mixed_valid_invalid_trace_span_ids", 1),
        ("partial_group_processing_body_type_failure", 1),
        ("large_structure_fails_at_resource_attributes", 3),
    ],
)
def test_partial_batches(name, refused):
    """Where fluent-bit gives up a batch at its first bad record, the good ones are kept here."""
    content = json.loads((MATRIX / "logs.json").read_text())[name]["input"]
    total = sum(
        len(scope.get("logRecords", []))
        for resource in content["resourceLogs"]
        for scope in resource.get("scopeLogs", [])
    )
    parsed = parse(Signal.LOGS, json.dumps(content).encode(), IntakeLimits())
    assert len(parsed.refused) == refused
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    message = ExportLogsServiceRequest.FromString(parsed.protobuf)
    kept = sum(len(scope.log_records) for resource in message.resource_logs for scope in resource.scope_logs)
    assert kept == total - refused
