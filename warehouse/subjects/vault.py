"""The vault: one random key for each person a tenant's records name, and so the token that stands in the records.

Invariants:
- A token is given out only once its key is committed and durable; two processes that meet a value at once agree on it.
- No value is stored but sealed (`sealing`); none stands in a message.
- Destroying a key forgets it here at once and in other processes within `BELIEVED_SECONDS`; until then they may still write
  its token, which means nothing any more. The value's next appearance gets an unrelated one.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from warehouse.clock import Clock
from warehouse.control.database import Database, parse_url
from warehouse.control.migration import open_migrated
from warehouse.control.secret import RandomBytes
from warehouse.errors import NotFoundError, SettingsError, UnavailableError, VaultUnavailableError
from warehouse.keys import LakeKeys
from warehouse.subjects.cache import TokenCache
from warehouse.subjects.schema import SUBJECTS, VAULT, VAULT_STATE
from warehouse.subjects.sealing import MATERIAL_BYTES, NONCE_BYTES, TenantKeys, key_id
from warehouse.subjects.tokens import is_token, normal_form
from warehouse.subjects.traces import holds_any

CACHED_TOKENS = 100_000
CHECK_SECONDS = 1.0
"""How often a process that uses tokens asks whether a key was destroyed."""
BELIEVED_SECONDS = 5.0
"""How long remembered tokens are used while the vault does not answer."""
_LEAST_PAUSE_SECONDS = 1.0
_ASKED_AT_ONCE = 500
_ATTEMPTS = 3

Answer = TypeVar("Answer")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class SubjectKey:
    """What may be said about a subject key: never the key. Times in nanoseconds since 1970."""

    tenant_id: str
    token: str
    key_id: str
    created_unix_nano: int
    destroyed_unix_nano: int | None = None


class SubjectVault:
    """The subjects of one lake. Open it with `open`; safe to use from several threads and processes at once.

    Every method raises `VaultUnavailableError` when the database does not answer or cannot write, and works again once it does.
    """

    def __init__(
        self,
        database: Database,
        keys: LakeKeys,
        *,
        clock: Clock,
        random_bytes: RandomBytes,
        monotonic: Callable[[], float] = time.monotonic,
        capacity: int = CACHED_TOKENS,
    ) -> None:
        self._database = database
        self._insert = sqlite.insert if database.path is not None else postgresql.insert
        self._lake_keys = keys
        self._clock = clock
        self._random_bytes = random_bytes
        self._monotonic = monotonic
        self._cache = TokenCache(capacity)
        self._tenants: dict[str, TenantKeys] = {}
        self._checked = -BELIEVED_SECONDS
        self._failed: tuple[float, str] | None = None

    @classmethod
    def open(
        cls,
        where: str | Path,
        keys: LakeKeys,
        *,
        clock: Clock,
        create: bool = True,
        random_bytes: RandomBytes = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
        capacity: int = CACHED_TOKENS,
    ) -> Self:
        """Open the vault at a path, `sqlite:///PATH` or `postgresql://…`, brought to the newest schema.

        `create` makes what is missing, as for the control database. Safe when several processes do it at once.

        Raises:
            SettingsError: a URL that cannot be used, or the vault of another lake.
            VaultUnavailableError: the database does not answer, is missing and `create` is False, or was written by a newer
                version.
        """
        database = open_migrated(parse_url(where, VAULT.title), create=create, random_bytes=random_bytes, schema=VAULT)
        vault = cls(database, keys, clock=clock, random_bytes=random_bytes, monotonic=monotonic, capacity=capacity)
        try:
            vault._belong_to_lake()
        except BaseException:
            vault.close()
            raise
        return vault

    def tokens(self, tenant_id: str, values: Sequence[str]) -> list[str]:
        """One token a value, in their order; made, in one transaction, where a value is new to the tenant.

        A value that was seen lately costs about a microsecond and no query. While the vault does not answer, the error
        comes at once for a moment after each failure, so that whoever masks instead is not held up by every batch.

        Raises:
            VaultUnavailableError: a value needs the vault, or remembered tokens are too old to be believed.
        """
        self._see_generation()
        found = self._cache.look(tenant_id, values)
        missing = dict.fromkeys(value for value, token in zip(values, found, strict=True) if token is None)
        if not missing:
            return [token for token in found if token is not None]
        made = self._asking(lambda: self._resolve(tenant_id, list(missing)))
        return [made[value] if token is None else token for value, token in zip(values, found, strict=True)]

    def known(self, tenant_id: str, tokens: Iterable[str]) -> set[str]:
        """Which of these texts are tokens of this tenant whose key exists."""
        wanted = sorted({token for token in tokens if is_token(token)})
        if not wanted:
            return set()
        found: set[str] = set()
        with self._database.read() as connection:
            for part in _parts(wanted):
                query = select(SUBJECTS.c.token).where(SUBJECTS.c.tenant_id == tenant_id, SUBJECTS.c.token.in_(part))
                found.update(connection.execute(query).scalars())
        return found

    def find(self, tenant_id: str, value: str) -> str | None:
        """The token of a value, None where the tenant never saw it or its key was destroyed; makes none."""
        lookup = self._keys_of(tenant_id).lookup(normal_form(value))
        with self._database.read() as connection:
            return _read_tokens(connection, tenant_id, [lookup]).get(lookup)

    def reveal(self, tenant_id: str, token: str) -> str:
        """The value behind a token, in its normal form. Whoever calls this has asked for the right and recorded it.

        Raises:
            NotFoundError: no token of this tenant, or its key was destroyed.
            CorruptionError: the row was altered.
        """
        query = select(SUBJECTS.c.key, SUBJECTS.c.sealed).where(_is(tenant_id, token))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"{token}: expected a token of tenant {tenant_id}, got none that the vault knows",
                hint="another tenant's token, or its key was destroyed: then nobody can say whose it was",
            )
        return self._keys_of(tenant_id).open(row.key, token, row.sealed)

    def subject_key(self, tenant_id: str, token: str) -> SubjectKey | None:
        """What may be said about the key behind a token; None where there is none."""
        with self._database.read() as connection:
            return _read_key(connection, tenant_id, token)

    def destroy(self, tenant_id: str, token: str) -> SubjectKey | None:
        """Destroy the key behind a token, for good: key, lookup and sealed value. None where there is none; safe to repeat.

        In a SQLite file no byte of them remains: it is searched afterwards, and written anew where a page kept a copy.

        Raises:
            VaultUnavailableError: nothing was destroyed; or it was (the note says so) and `scrub` is still to be done.
        """
        with self._database.write() as connection:
            row = connection.execute(select(SUBJECTS).where(_is(tenant_id, token))).one_or_none()
            if row is None:
                return None
            connection.execute(delete(SUBJECTS).where(_is(tenant_id, token)))
            connection.execute(update(VAULT_STATE).values(generation=VAULT_STATE.c.generation + 1))
            generation = _generation(connection)
        self._cache.advance(generation)
        destroyed = SubjectKey(tenant_id, token, key_id(row.key), row.created_unix_nano, self._clock())
        traces = (row.key, row.lookup, row.sealed, token.encode())
        try:
            if self._database.path is not None and holds_any(self._database.path, traces):
                self.scrub()
        except UnavailableError as exc:
            exc.add_note("the key is destroyed, its traces in the file may not be: repeat what you did")
            raise
        return destroyed

    def destroy_by_id(self, key_ids: Collection[str]) -> int:
        """Destroy the keys of these ids, as certificates name them; how many were there. Safe to repeat.

        Raises:
            VaultUnavailableError: nothing was destroyed; or it was, and `scrub` is still to be done.
        """
        wanted = set(key_ids)
        with self._database.read() as connection:
            rows = (
                connection.execute(select(SUBJECTS.c.tenant_id, SUBJECTS.c.token, SUBJECTS.c.key)).all()
                if wanted
                else ()
            )
            found = [(row.tenant_id, row.token) for row in rows if key_id(row.key) in wanted]
        destroyed = [self.destroy(tenant_id, token) for tenant_id, token in found]
        return sum(key is not None for key in destroyed)

    def scrub(self) -> None:
        """Rid a SQLite file of every trace of destroyed keys; a server has ways of its own (docs/design/subjects.md)."""
        self._database.rewrite_file()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _see_generation(self) -> None:
        now = self._monotonic()
        if now < self._checked + CHECK_SECONDS:
            return
        try:
            generation = self._asking(self._read_generation)
        except VaultUnavailableError:
            if now < self._checked + BELIEVED_SECONDS:
                return
            raise
        self._cache.advance(generation)
        self._checked = now

    def _read_generation(self) -> int:
        with self._database.read() as connection:
            return _generation(connection)

    def _asking(self, ask: Callable[[], Answer]) -> Answer:
        """Ask the database, unless it failed a moment ago: the pause is thrice as long as the failure took to come."""
        started = self._monotonic()
        failed = self._failed
        if failed is not None and started < failed[0]:
            raise VaultUnavailableError(failed[1])
        try:
            answer = ask()
        except VaultUnavailableError as exc:
            ended = self._monotonic()
            self._failed = (ended + max(_LEAST_PAUSE_SECONDS, 3 * (ended - started)), str(exc))
            raise
        self._failed = None
        return answer

    def _resolve(self, tenant_id: str, values: Sequence[str]) -> dict[str, str]:
        keys = self._keys_of(tenant_id)
        forms = {value: normal_form(value) for value in values}
        lookups = {form: keys.lookup(form) for form in forms.values()}
        with self._database.read() as connection:
            generation = _generation(connection)
            found = _read_tokens(connection, tenant_id, lookups.values())
        new = {lookup: form for form, lookup in lookups.items() if lookup not in found}
        if new:
            generation, made = self._make(keys, new)
            found |= made
        tokens = {value: found[lookups[form]] for value, form in forms.items()}
        self._cache.fill(generation, tenant_id, tokens)
        return tokens

    def _make(self, keys: TenantKeys, new: dict[bytes, str]) -> tuple[int, dict[bytes, str]]:
        """Make keys for values by their lookup, or take those that another process made meanwhile."""
        # In one order everywhere: two processes that insert the same values in two orders would wait for each other.
        rows = [self._new_row(keys, lookup, new[lookup]) for lookup in sorted(new)]
        for _ in range(_ATTEMPTS):
            with self._database.write() as connection:
                if self._database.path is None:
                    # Whatever the server's default: a token must not outlive its key through a crash.
                    connection.execute(text("set local synchronous_commit = on"))
                connection.execute(self._insert(SUBJECTS).on_conflict_do_nothing(), rows)
                generation = _generation(connection)
                found = _read_tokens(connection, keys.tenant_id, new)
            if len(found) == len(new):
                return generation, found
            # Another's row was in the way of ours and was destroyed before it could be read.
            rows = [row for row in rows if row["lookup"] not in found]
        raise VaultUnavailableError("vault: keys are being destroyed faster than they can be made: try again")

    def _new_row(self, keys: TenantKeys, lookup: bytes, value: str) -> dict[str, Any]:
        material = self._random_bytes(MATERIAL_BYTES)
        token = keys.token(material, value)
        return {
            "tenant_id": keys.tenant_id,
            "lookup": lookup,
            "token": token,
            "key": material,
            "sealed": keys.seal(material, token, value, self._random_bytes(NONCE_BYTES)),
            "created_unix_nano": self._clock(),
        }

    def _keys_of(self, tenant_id: str) -> TenantKeys:
        keys = self._tenants.get(tenant_id)
        if keys is None:
            keys = self._tenants[tenant_id] = TenantKeys.of(self._lake_keys, tenant_id)
        return keys

    def _belong_to_lake(self) -> None:
        """Take a new vault for this lake, and refuse another lake's: its keys would open nothing here."""
        query = select(VAULT_STATE.c.lake_id)
        with self._database.read() as connection:
            owner = connection.execute(query).scalar_one_or_none()
        if owner is None:
            row = {"id": 1, "lake_id": self._lake_keys.lake_id, "generation": 0}
            with self._database.write() as connection:
                connection.execute(self._insert(VAULT_STATE).values(row).on_conflict_do_nothing())
                owner = connection.execute(query).scalar_one()
        if owner != self._lake_keys.lake_id:
            raise SettingsError(
                f"vault {self._database.where}: expected that of lake {self._lake_keys.lake_id}, got that of {owner}",
                hint="name this lake's own vault in vault_url, or an empty database",
            )


def _is(tenant_id: str, token: str) -> ColumnElement[bool]:
    return and_(SUBJECTS.c.tenant_id == tenant_id, SUBJECTS.c.token == token)


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(VAULT_STATE.c.generation)).scalar_one())


def _read_key(connection: Connection, tenant_id: str, token: str) -> SubjectKey | None:
    query = select(SUBJECTS.c.key, SUBJECTS.c.created_unix_nano).where(_is(tenant_id, token))
    row = connection.execute(query).one_or_none()
    return None if row is None else SubjectKey(tenant_id, token, key_id(row.key), row.created_unix_nano)


def _read_tokens(connection: Connection, tenant_id: str, lookups: Iterable[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for part in _parts(list(lookups)):
        query = select(SUBJECTS.c.lookup, SUBJECTS.c.token).where(
            SUBJECTS.c.tenant_id == tenant_id, SUBJECTS.c.lookup.in_(part)
        )
        found.update((bytes(lookup), token) for lookup, token in connection.execute(query))
    return found


def _parts(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Few enough at once for any database's limit on parameters."""
    for start in range(0, len(entries), _ASKED_AT_ONCE):
        yield entries[start : start + _ASKED_AT_ONCE]
