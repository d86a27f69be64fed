"""Columns in which a person stands under a token: what redaction fills, what a search asks and what a hold on a person keeps."""

from collections.abc import Mapping

SUBJECTS = "subjects"
"""The list of every token that redaction put into a row."""

IDENTITY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "spans": ("user_id",),
    "audit_events": ("actor_id", "on_behalf_of", "subject_id", "resource_id"),
    "logs": (),
    "metrics": (),
    "contents": (),
}
"""Columns beside `SUBJECTS` that hold a token as a whole, by table."""
