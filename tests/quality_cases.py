"""Records as they should be and the same gone wrong, one case for each way that a check of their quality can fail."""

import datetime as dt

DAY = dt.date(2026, 11, 20)
HOUR = 3_600_000_000_000
TRACE, SPAN, PARENT = "a" * 32, "b" * 16, "c" * 16
MAIL = "ask jane.doe@example.org"
CARD = "4111 1111 1111 1111"
# name, a record as it should be, the same record gone wrong
CASES = [
    ("spans-ids-well-formed", {"trace_id": TRACE, "span_id": SPAN}, {"trace_id": "A" * 32}),
    ("spans-ids-well-formed", {"trace_id": TRACE, "span_id": SPAN}, {"trace_id": "0" * 32}),
    ("spans-ids-well-formed", {"trace_id": TRACE, "span_id": SPAN}, {"span_id": "b" * 15}),
    ("spans-ids-well-formed", {"trace_id": TRACE, "span_id": SPAN}, {"span_id": None}),
    ("spans-times-ordered", {"end_unix_nano": 1_795_176_000_000_000_000}, {"end_unix_nano": 1_795_175_999_999_999_999}),
    ("spans-times-ordered", {"end_unix_nano": None}, {"received_unix_nano": 1_795_176_000_000_000_000 - HOUR}),
    ("spans-times-ordered", {}, {"received_unix_nano": None}),
    ("spans-tokens-sane", {"input_tokens": 0, "output_tokens": 7}, {"input_tokens": -1}),
    ("spans-tokens-sane", {"output_tokens": 7, "reasoning_tokens": 7}, {"reasoning_tokens": 8}),
    ("spans-tokens-sane", {"input_tokens": 9}, {"input_tokens": 100_000_001}),
    ("spans-dialect-known", {"attributes": '{"gen_ai.system":"x"}'}, {"attributes": '{"own.name":1}'}),
    ("spans-no-mail", {"attributes": '{"a":"[email]"}'}, {"attributes": f'{{"a":"{MAIL}"}}'}),
    ("spans-no-mail", {"status_message": "no @ here"}, {"status_message": MAIL}),
    ("spans-no-card", {"attributes": '{"a":"4111 1111 1111 1112"}'}, {"attributes": f'{{"a":"{CARD}"}}'}),
    ("spans-no-card", {"events": '["1795176000000000000"]'}, {"events": '["5500-0000-0000-0004"]'}),
    # ids that have no letter by chance and pass Luhn's check, and a fraction that does
    ("spans-no-card", {"attributes": '{"id":"call-5136149400003670"}'}, {"attributes": '{"id":"5136149400003670"}'}),
    ("spans-no-card", {"attributes": '{"a":0.4111111111111111}'}, {"attributes": '{"a":[1,4111111111111111]}'}),
    (
        "spans-no-card",
        {"attributes": '{"a":"4111-1111-1111-1111-x"}'},
        {"attributes": '{"a":"\\n4111-1111-1111-1111."}'},
    ),
    (
        "spans-no-card",
        {"links": '[{"span_id":"5136149400003670"}]'},
        {"links": '[{"span_id":"5136149400003670","attributes":{"paid_by":"5136149400003670"}}]'},
    ),
    (
        "audit-events-actor-and-outcome",
        {"event_name": "approval.granted", "actor_id": "x", "outcome": "success"},
        {"actor_id": None},
    ),
    (
        "audit-events-actor-and-outcome",
        {"event_name": "approval.granted", "actor_id": "x", "outcome": "success"},
        {"outcome": ""},
    ),
    ("audit-events-ids-well-formed", {"trace_id": TRACE, "span_id": SPAN}, {"trace_id": "0" * 32}),
    ("audit-events-ids-well-formed", {"trace_id": None, "span_id": None}, {"span_id": "B" * 16}),
    ("audit-events-times-ordered", {}, {"received_unix_nano": 1}),
    ("audit-events-no-mail", {"reason": "late"}, {"reason": MAIL}),
    ("audit-events-no-card", {"body": "late"}, {"body": CARD}),
    ("logs-ids-well-formed", {"trace_id": None}, {"trace_id": ""}),
    ("logs-ids-well-formed", {"span_id": SPAN}, {"span_id": "b" * 17}),
    ("logs-times-ordered", {}, {"received_unix_nano": 1}),
    ("logs-no-mail", {"body": "a@b"}, {"body": MAIL}),
    ("logs-no-card", {"body": "1234567890123"}, {"body": CARD}),
    ("contents-owner-known", {"owner_table": "spans", "owner_index": 0, "part": "body"}, {"owner_table": "metrics"}),
    ("contents-owner-known", {"owner_table": "logs", "owner_index": 7, "part": "body"}, {"owner_index": None}),
    ("contents-owner-known", {"owner_table": "logs", "owner_index": 7, "part": "body"}, {"part": ""}),
    ("contents-no-mail", {"body": "⟨email⟩"}, {"body": MAIL}),
    ("contents-no-card", {"body": "4111"}, {"body": CARD}),
    ("metrics-times-ordered", {"start": 1_795_176_000_000_000_000}, {"start": 1_795_176_000_000_000_001}),
    ("metrics-times-ordered", {}, {"received_unix_nano": 1}),
    ("metrics-no-mail", {"unit": "1"}, {"exemplars": f'["{MAIL}"]'}),
    ("metrics-no-card", {"value_int": 4_111_111_111_111_111}, {"attributes": f'{{"a":"{CARD}"}}'}),
]


def filled(table, row, noon):
    """A row with what every row of its table has, as it should be."""
    ledgered = {} if table == "contents" else {"received_unix_nano": noon, "recorded_by": "key:k1"}
    return ledgered | row
