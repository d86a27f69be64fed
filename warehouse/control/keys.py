"""API keys: issued, listed, rotated with an overlap, revoked, and recognised.

A key's secret leaves this module once, inside `IssuedKey`. A key works in the half-open interval from its creation to the
first of: expiry, revocation, end of the overlap after its rotation, closing of its tenant.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, RowMapping, Update, insert, select, update

from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.records import IssuedKey, KeyRecord, KeyState
from warehouse.control.schema import API_KEYS, TENANTS
from warehouse.control.secret import NO_SECRET, StoredSecret, key_id_of, make_key_id, make_key_text, matches, seal
from warehouse.control.tenants import expect_open_tenant, expect_tenant
from warehouse.errors import ConflictError, InputError, NotFoundError, UnauthenticatedError

_EVENT_PATTERN = re.compile(r"[a-z0-9_.*?-]{1,100}", re.ASCII)


class Keys(Part):
    """The keys' part of the control store."""

    def issue_key(
        self,
        tenant_id: str,
        *,
        agent: str | None = None,
        events: Sequence[str] | None = None,
        expires_unix_nano: int | None = None,
        label: str | None = None,
        announce: Callable[[KeyRecord], None] = announce_nothing,
    ) -> IssuedKey:
        """Issue a key for a tenant, optionally scoped to one agent and to event names by shell-style patterns.

        Raises:
            NotFoundError: there is no such tenant.
            ConflictError: the tenant is closed.
            InputError: a scope or label that cannot be used, or an expiry that has passed.
        """
        now = self._clock()
        if expires_unix_nano is not None and expires_unix_nano <= now:
            raise InputError(f"key expiry: expected after {utc_text(now)}, got {utc_text(expires_unix_nano)}")
        record = KeyRecord(
            key_id=make_key_id(self._random_bytes),
            tenant_id=tenant_id,
            created_unix_nano=now,
            agent=None if agent is None else check_text(agent, "agent"),
            event_patterns=None if events is None else _check_patterns(events),
            label=None if label is None else check_text(label, "key label"),
            expires_unix_nano=expires_unix_nano,
        )
        with self._database.read() as connection:
            expect_open_tenant(connection, tenant_id)
        announce(record)
        with self._database.write() as connection:
            expect_open_tenant(connection, tenant_id)
            return self._insert(connection, record)

    def key(self, key_id: str, *, among: Collection[str] | None = None) -> KeyRecord:
        """One key, without its secret; with `among`, of one of these tenants: another's is as if it were not there.

        Raises:
            NotFoundError: there is none with this id.
        """
        with self._database.read() as connection:
            return _expect_key(connection, key_id, among)

    def list_keys(self, tenant_id: str | None = None) -> list[KeyRecord]:
        """Every key, or every key of a tenant, oldest first, without secrets.

        Raises:
            NotFoundError: there is no such tenant.
        """
        with self._database.read() as connection:
            wanted = select(API_KEYS).order_by(API_KEYS.c.created_unix_nano, API_KEYS.c.id)
            if tenant_id is not None:
                expect_tenant(connection, tenant_id)
                wanted = wanted.where(API_KEYS.c.tenant_id == tenant_id)
            return [_key_of(row) for row in connection.execute(wanted).mappings()]

    def rotate_key(
        self,
        key_id: str,
        overlap_seconds: int,
        *,
        announce: Callable[[KeyRecord, KeyRecord], None] = lambda _old, _new: None,
    ) -> IssuedKey:
        """Issue a successor with the same scope and the same length of life; the old key works until the overlap ends.

        `announce` gets the old key as it will be and the new one.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: the key is rotated, expired or revoked already, or its tenant closed.
            InputError: a negative overlap.
        """
        if overlap_seconds < 0:
            raise InputError(f"overlap: expected 0 seconds or more, got {overlap_seconds}")
        now = self._clock()
        with self._database.read() as connection:
            old = _expect_key(connection, key_id)
            _expect_active(old, now)
            expect_open_tenant(connection, old.tenant_id)
        life = None if old.expires_unix_nano is None else old.expires_unix_nano - old.created_unix_nano
        new = replace(
            old,
            key_id=make_key_id(self._random_bytes),
            created_unix_nano=now,
            expires_unix_nano=None if life is None else now + life,
        )
        ending = replace(old, rotated_to=new.key_id, overlap_ends_unix_nano=now + overlap_seconds * NANOS_PER_SECOND)
        announce(ending, new)
        with self._database.write() as connection:
            issued = self._insert(connection, new)
            _change_one(
                connection,
                update(API_KEYS)
                .where(API_KEYS.c.id == key_id, API_KEYS.c.rotated_to.is_(None), API_KEYS.c.revoked_unix_nano.is_(None))
                .values(rotated_to=ending.rotated_to, overlap_ends_unix_nano=ending.overlap_ends_unix_nano),
                key_id,
            )
        return issued

    def revoke_key(self, key_id: str, *, announce: Callable[[KeyRecord], None] = announce_nothing) -> KeyRecord:
        """Revoke a key from now on. A successor made by rotation is another key and keeps working.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: it is revoked already.
        """
        now = self._clock()
        with self._database.read() as connection:
            key = _expect_key(connection, key_id)
        if key.revoked_unix_nano is not None:
            raise ConflictError(f"key {key_id} was revoked already, at {utc_text(key.revoked_unix_nano)}")
        revoked = replace(key, revoked_unix_nano=now)
        announce(revoked)
        with self._database.write() as connection:
            _change_one(
                connection,
                update(API_KEYS)
                .where(API_KEYS.c.id == key_id, API_KEYS.c.revoked_unix_nano.is_(None))
                .values(revoked_unix_nano=now),
                key_id,
            )
        return revoked

    def authenticate(self, key_text: str) -> KeyRecord:
        """The key that this text is, if it works now.

        An unknown id costs the same hash and comparison as a known one. Only the holder of the right secret is told that
        a key is expired or revoked.

        Raises:
            UnauthenticatedError: malformed, unknown, wrong, expired, rotated out, revoked, or of a closed tenant.
        """
        key_id = key_id_of(key_text)
        wanted = (
            select(API_KEYS, TENANTS.c.closed_unix_nano.label("tenant_closed_unix_nano"))
            .join(TENANTS, TENANTS.c.id == API_KEYS.c.tenant_id)
            .where(API_KEYS.c.id == key_id)
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        stored = NO_SECRET if row is None else StoredSecret(salt=row["salt"], secret_hash=row["secret_hash"])
        if not matches(key_text, stored) or row is None:
            raise UnauthenticatedError("API key is not known here: expected one that this lake issued, got another")
        key = _key_of(row)
        state = key.state_at(self._clock())
        if not state.works:
            raise UnauthenticatedError(
                f"API key {key_id} is {state.value}", hint="ask the lake's operator for a new key"
            )
        if row["tenant_closed_unix_nano"] is not None:
            raise UnauthenticatedError(f"API key {key_id} belongs to tenant {key.tenant_id}, which is closed")
        return key

    def _insert(self, connection: Connection, record: KeyRecord) -> IssuedKey:
        key_text = make_key_text(record.key_id, self._random_bytes)
        stored = seal(key_text, self._random_bytes)
        values = asdict(record)
        values["id"] = values.pop("key_id")
        if record.event_patterns is not None:
            values["event_patterns"] = json.dumps(record.event_patterns)
        connection.execute(insert(API_KEYS).values(**values, salt=stored.salt, secret_hash=stored.secret_hash))
        return IssuedKey(id=record.key_id, tenant=record.tenant_id, secret_text=key_text)


def _check_patterns(events: Sequence[str]) -> tuple[str, ...]:
    if not events:
        raise InputError("event patterns: expected at least one (or none given at all), got an empty list")
    for pattern in events:
        if not _EVENT_PATTERN.fullmatch(pattern):
            raise InputError(f"event pattern: expected {_EVENT_PATTERN.pattern}, such as approval.*, got {pattern!r}")
    return tuple(events)


def _expect_key(connection: Connection, key_id: str, among: Collection[str] | None = None) -> KeyRecord:
    row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).mappings().first()
    if row is None or (among is not None and row["tenant_id"] not in among):
        # Somebody may have pasted the whole key: its id is named, its secret is not repeated.
        named = key_id if len(key_id) <= len("k") + 12 else f"{len(key_id)} characters"
        raise NotFoundError(
            f"key: expected the id of one of this lake's, got {named}", hint="`muniment key list` shows them"
        )
    return _key_of(row)


def _expect_active(key: KeyRecord, now: int) -> None:
    state = key.state_at(now)
    if key.rotated_to is not None and state is not KeyState.REVOKED:
        raise ConflictError(f"key {key.key_id} was rotated already, to {key.rotated_to}", hint="rotate that one")
    if state is not KeyState.ACTIVE:
        raise ConflictError(f"key {key.key_id} is {state.value}", hint="`muniment key issue` makes a new one")


def _change_one(connection: Connection, change: Update, key_id: str) -> None:
    if connection.execute(change).rowcount != 1:
        raise ConflictError(
            f"key {key_id} was rotated or revoked meanwhile", hint="`muniment key list` shows its state"
        )


def _key_of(row: RowMapping) -> KeyRecord:
    patterns = row["event_patterns"]
    return KeyRecord(
        key_id=row["id"],
        tenant_id=row["tenant_id"],
        created_unix_nano=row["created_unix_nano"],
        agent=row["agent"],
        event_patterns=None if patterns is None else tuple(json.loads(patterns)),
        label=row["label"],
        expires_unix_nano=row["expires_unix_nano"],
        revoked_unix_nano=row["revoked_unix_nano"],
        rotated_to=row["rotated_to"],
        overlap_ends_unix_nano=row["overlap_ends_unix_nano"],
    )
