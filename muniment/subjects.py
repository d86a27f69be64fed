"""Whose a token is, asked and recorded; and the end of that knowledge: a key destroyed, checked, certified.

Invariants:
- Reading is recorded before anything is read out; what cannot be recorded is refused.
- Shredding is recorded as asked for, then noted in `LAKE/keys` without the value, then done, read back, certified and recorded as
  done. Whatever crash comes in between, the next shredding in that tenant finishes it.
- No value stands in an event, a certificate, a note or a message.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from governance.access import Action
from muniment.mirroring import mirror_files
from muniment.wiring import CommandContext
from warehouse.control.part import check_text
from warehouse.control.secret import RandomBytes
from warehouse.durable import replace_file, sync_folder
from warehouse.errors import CorruptionError, InputError, NotFoundError
from warehouse.ledger.key_destruction import KeyDestruction, reference, sign_destruction, write_certificate
from warehouse.ledger.signing import read_signing_keys
from warehouse.locks import locked
from warehouse.subjects import SubjectKey, is_token, normal_form

NONCE_BYTES = 16
_LOCK_SECONDS = 5.0
_METHOD = "row deleted from the vault: key material, lookup and sealed value"

Keeper = Callable[[str, str], None]
"""`keeper(tenant, token)` raises `ConflictError` where something still needs to know whose the token is.

It is asked before anything is recorded, and again under the lock that placing a hold takes too."""


@dataclass(frozen=True)
class Shredded:
    """A key that was destroyed, and its certificate: content, name (SHA-256) and file."""

    token: str
    document: KeyDestruction
    certificate_sha256: str
    file: Path


@dataclass(frozen=True)
class _Note:
    """What the certificate will say, kept from before the destruction until it is recorded."""

    tenant: str
    token: str
    key_id: str
    subject_ref: str | None
    token_ref: str
    key_created_unix_nano: int
    reason: str
    ordered_by: str


def nothing_keeps(_tenant: str, _token: str) -> None:
    """For a lake in which nothing stands against a shredding."""


def reveal_subject(context: CommandContext, *, tenant: str, token: str, reason: str) -> str:
    """The value behind a token; recorded first, as `record.viewed` with the reason, in the tenant's log.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: no such tenant, or no such token in it; that it was asked for is recorded too.
        UnavailableError: it cannot be recorded, or the vault does not answer.
    """
    decision = _decide(context, Action.SUBJECT_REVEAL, tenant)
    _check_token(token)
    check_text(reason, "--reason")
    known = bool(context.vault.known(tenant, [token]))
    _record_view(context, tenant, "reveal", token, decision, reason=reason, outcome="success" if known else "failure")
    return context.vault.reveal(tenant, token)


def find_subject(context: CommandContext, *, tenant: str, value: str) -> str | None:
    """The token of a value, None where the tenant has none; recorded like a reading, without the value.

    Raises:
        DeniedError: the principal may not.
        UnavailableError: it cannot be recorded, or the vault does not answer.
    """
    decision = _decide(context, Action.SUBJECT_REVEAL, tenant)
    token = context.vault.find(tenant, _check_value(value))
    _record_view(context, tenant, "find", token, decision, outcome="success" if token else "failure")
    return token


def subject_to_shred(
    context: CommandContext,
    *,
    tenant: str,
    token: str | None,
    value: str | None,
    action: Action = Action.SUBJECT_SHRED,
) -> SubjectKey:
    """The key that a shredding of this token, or of the token of this value, would destroy.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: the tenant has no such token; its key may have been destroyed before.
    """
    _decide(context, action, tenant)
    if (token is None) == (value is None):
        raise InputError("subject: expected a token or --value, one of the two")
    if value is not None:
        token = context.vault.find(tenant, _check_value(value))
    found = None if token is None else context.vault.subject_key(tenant, _check_token(token))
    if found is None:
        what = "the value" if value is not None else token
        raise NotFoundError(
            f"{what}: expected a subject of tenant {tenant}, got none that the vault knows",
            hint="another tenant's, never seen, or its key was destroyed before",
        )
    return found


def shred_subject(
    context: CommandContext,
    *,
    tenant: str,
    token: str,
    reason: str,
    announce_nonce: Callable[[str], None],
    keeper: Keeper = nothing_keeps,
    random_bytes: RandomBytes = secrets.token_bytes,
    action: Action = Action.SUBJECT_SHRED,
    subject_ref: str | None = None,
) -> Shredded:
    """Destroy the key behind a token, for good. Call `finish_shreddings` first. `action` is the right under which that is ordered.

    `subject_ref` is the one under which the person was named before, where the shredding is the end of something longer.

    `announce_nonce` is called with the certificate's nonce in hex before anything is destroyed: it is kept nowhere else.

    Raises:
        DeniedError: the principal may not.
        ConflictError: `keeper` refuses.
        UnavailableError: it cannot be recorded, the vault or a backup target does not answer, or another deletion did not end in time.
    """
    decision = _decide(context, action, tenant)
    check_text(reason, "--reason")
    with _alone(context):
        key = subject_to_shred(context, tenant=tenant, token=token, value=None, action=action)
        keeper(tenant, token)
        mirror_files(context, [])  # a backup target that is away is noticed before the key is gone
        nonce = random_bytes(NONCE_BYTES)
        value = _readable(context, tenant, token)
        if value and value.casefold() in reason.casefold():
            raise InputError("--reason: expected one that does not name the subject, which is to be forgotten")
        note = _Note(
            tenant, token, key.key_id, subject_ref or (None if value is None else reference(nonce, value)), reference(nonce, token),
            key.created_unix_nano, reason, context.principal.recorded_by,
        )  # fmt: skip
        _record(
            context, "erasure.requested", note, policy_id=decision.policy_id, policy_version=decision.policy_version
        )
        announce_nonce(nonce.hex())
        file = _note_file(context, note.key_id)
        with context.control.deleting(f"subject key {note.key_id}", [tenant]):
            keeper(tenant, token)
            replace_file(file, json.dumps(asdict(note)).encode())
            destroyed = context.vault.destroy(tenant, token)
        at = context.clock() if destroyed is None else destroyed.destroyed_unix_nano or context.clock()
        return _certify(context, file, note, value=value, destroyed_unix_nano=at, interrupted=False)


def finish_shreddings(context: CommandContext, tenant: str) -> list[Shredded]:
    """Certify and record what an interrupted shredding in this tenant destroyed; what it did not destroy stays.

    Raises:
        UnavailableError: it cannot be recorded, or the vault does not answer.
    """
    _decide(context, Action.SUBJECT_SHRED, tenant)
    finished = []
    with _alone(context):
        for file, note in _notes(context):
            if note.tenant != tenant:
                continue
            if context.vault.known(tenant, [note.token]):
                _drop(file)
                continue
            # Interrupted between the deletion and the search for what it left in the file.
            context.vault.scrub()
            now = context.clock()
            finished.append(_certify(context, file, note, value=None, destroyed_unix_nano=now, interrupted=True))
    return finished


def _certify(
    context: CommandContext, file: Path, note: _Note, *, value: str | None, destroyed_unix_nano: int, interrupted: bool
) -> Shredded:
    document = KeyDestruction(
        lake=context.settings.lake,
        tenant=note.tenant,
        key_id=note.key_id,
        subject_ref=note.subject_ref,
        token_ref=note.token_ref,
        key_created_unix_nano=str(note.key_created_unix_nano),
        destroyed_unix_nano=str(destroyed_unix_nano),
        ordered_by=note.ordered_by,
        reason=note.reason,
        method=_METHOD,
        verification=_read_back(context, note, value),
        interrupted=interrupted,
    )
    signers = read_signing_keys(context.lake.keys).signers(f"{context.settings.lake}/certificates", context.clock())
    digest = write_certificate(context.lake, sign_destruction(document, signers))
    mirror_files(context, [context.lake.certificates / digest])
    _record(context, "erasure.completed", note, attributes={"muniment.certificate": digest})
    _drop(file)
    return Shredded(note.token, document, digest, context.lake.certificates / digest)


def _read_back(context: CommandContext, note: _Note, value: str | None) -> dict[str, str]:
    """Ask the vault for what should be gone.

    Raises:
        CorruptionError: it still answers.
    """
    found = {"token": "not known", "reveal": "refused"}
    problem = CorruptionError(
        f"vault: expected key {note.key_id} to be gone, got an answer from it",
        hint="somebody put an older vault back: repeat the shredding, and see what else it brought back",
    )
    if context.vault.known(note.tenant, [note.token]):
        raise problem
    try:
        context.vault.reveal(note.tenant, note.token)
    except NotFoundError:
        pass
    else:
        raise problem
    if value is not None:
        # A new token of the same value is another key, should the person have come back in this moment.
        if context.vault.find(note.tenant, value) == note.token:
            raise problem
        found["value"] = "not found under this key"
    return found


def _decide(context: CommandContext, action: Action, tenant: str) -> Any:
    decision = context.check(action, tenant)
    context.control.tenant(tenant)
    return decision


def _record_view(
    context: CommandContext, tenant: str, action: str, token: str | None, decision: Any, **fields: Any
) -> None:
    context.record(
        "record.viewed",
        tenant,
        action=action,
        resource_type="subject",
        resource_id=token,
        policy_id=decision.policy_id,
        policy_version=decision.policy_version,
        **fields,
    )


def _record(context: CommandContext, event: str, note: _Note, **fields: Any) -> None:
    attributes = {"muniment.subject_ref": note.subject_ref, "muniment.token_ref": note.token_ref}
    attributes |= fields.pop("attributes", {})
    context.record(
        event,
        note.tenant,
        action="shred",
        resource_type="subject_key",
        resource_id=note.key_id,
        reason=note.reason,
        attributes=attributes,
        **fields,
    )


def _readable(context: CommandContext, tenant: str, token: str) -> str | None:
    try:
        return context.vault.reveal(tenant, token)
    except CorruptionError:
        # What cannot be read any more is to be destroyed all the same.
        return None


def _check_token(token: str) -> str:
    if not is_token(token):
        # Not shown: somebody may have typed the value.
        raise InputError("token: expected sub_ and 26 characters, got something else", hint="--value takes a value")
    return token


def _check_value(value: str) -> str:
    if not normal_form(value):
        raise InputError("value: expected one, got nothing")
    return value


def _alone(context: CommandContext) -> Any:
    return locked(context.lake.keys / ".shred.lock", holder="muniment subject shred", timeout_seconds=_LOCK_SECONDS)


def _note_file(context: CommandContext, key_id: str) -> Path:
    return context.lake.keys / f"shredding-{key_id}.json"


def _notes(context: CommandContext) -> Iterator[tuple[Path, _Note]]:
    for file in sorted(context.lake.keys.glob("shredding-*.json")):
        try:
            yield file, _Note(**json.loads(file.read_bytes()))
        except (ValueError, TypeError) as exc:
            raise CorruptionError(f"{file}: expected the note of a shredding, got {type(exc).__name__}") from exc


def _drop(file: Path) -> None:
    file.unlink(missing_ok=True)
    sync_folder(file.parent)
