"""Requests that wait for a second principal: what was asked for, by whom, and who approved it.

A request is for one exact thing, named by its kind and a hash or id. It is open until it is carried out or withdrawn; rows are never
deleted.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, replace

from sqlalchemy import Connection, insert, select, update

from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.records import RequestRecord
from warehouse.control.schema import REQUESTS
from warehouse.errors import ConflictError, DeniedError, NotFoundError

_ID_BYTES = 6


class Requests(Part):
    """The requests' part of the control store."""

    def ask(
        self,
        kind: str,
        subject: str,
        *,
        by: str,
        tenant_id: str | None,
        same: Collection[str] = (),
        announce: Callable[[RequestRecord], None] = announce_nothing,
    ) -> RequestRecord:
        """Ask for something that needs a second person; the request that is open for it already, where the same one asked.

        `same` are the accounts of the person whose account `by` is.

        Raises:
            ConflictError: another principal asked for it already, and can be approved.
        """
        asked = RequestRecord(
            id=f"r{self._random_bytes(_ID_BYTES).hex()}",
            kind=check_text(kind, "request"),
            subject=check_text(subject, "request"),
            tenant_id=tenant_id,
            asked_unix_nano=self._clock(),
            asked_by=check_text(by, "principal"),
        )
        with self._database.read() as connection:
            if before := _open(connection, kind, subject):
                if before.asked_by in {by, *same}:
                    return before
                raise ConflictError(
                    f"{kind}: {before.asked_by} asked for it already",
                    hint="approve it: the same command with --approve",
                )
        announce(asked)
        with self._database.write() as connection:
            connection.execute(insert(REQUESTS).values(asdict(asked)))
        return asked

    def open_request(self, kind: str, subject: str) -> RequestRecord | None:
        """The request that is open for this; None where nobody asked."""
        with self._database.read() as connection:
            return _open(connection, kind, subject)

    def approve_request(
        self,
        kind: str,
        subject: str,
        *,
        by: str,
        same: Collection[str] = (),
        announce: Callable[[RequestRecord], None] = announce_nothing,
    ) -> RequestRecord:
        """Approve what another person asked for; the request stays open until `close_request`. `same` as in `ask`.

        Raises:
            NotFoundError: nobody asked for it.
            DeniedError: `by` is the one who asked, or the same person.
        """
        with self._database.read() as connection:
            request = _open(connection, kind, subject)
        if request is None:
            raise NotFoundError(
                f"{kind}: expected a request that waits for approval, got none for {subject}",
                hint="another principal asks for it first: the same command without --approve",
            )
        check_another(kind, request.asked_by, check_text(by, "principal"), same)
        approved = replace(request, approved_unix_nano=self._clock(), approved_by=by)
        announce(approved)
        with self._database.write() as connection:
            _store(connection, approved)
        return approved

    def close_request(self, request_id: str) -> None:
        """Note that a request was carried out; safe to repeat."""
        with self._database.write() as connection:
            connection.execute(
                update(REQUESTS)
                .where(REQUESTS.c.id == request_id, REQUESTS.c.closed_unix_nano.is_(None))
                .values(closed_unix_nano=self._clock())
            )

    def list_requests(self) -> list[RequestRecord]:
        """The requests that are open, oldest first."""
        wanted = select(REQUESTS).where(REQUESTS.c.closed_unix_nano.is_(None)).order_by(REQUESTS.c.asked_unix_nano)
        with self._database.read() as connection:
            return [RequestRecord(**row) for row in connection.execute(wanted).mappings()]


def check_another(what: str, asked_by: str, by: str, same: Collection[str]) -> None:
    """Refuse an approval by whoever asked; `same` are the accounts of the person whose account `by` is.

    Raises:
        DeniedError: it is the same person.
    """
    if asked_by == by:
        raise DeniedError(
            f"{what}: expected another principal than {by}, who asked for it, to approve it",
            hint="have a second one run it",
        )
    if asked_by in same:
        raise DeniedError(
            f"{what}: expected another person than {asked_by}, who asked for it, to approve it: {by} is the same person",
            hint="have a second person run it; groups.yaml says under same_person which accounts are one person's",
        )


def _open(connection: Connection, kind: str, subject: str) -> RequestRecord | None:
    wanted = select(REQUESTS).where(
        REQUESTS.c.kind == kind, REQUESTS.c.subject == subject, REQUESTS.c.closed_unix_nano.is_(None)
    )
    row = connection.execute(wanted.order_by(REQUESTS.c.asked_unix_nano).limit(1)).mappings().first()
    return None if row is None else RequestRecord(**row)


def _store(connection: Connection, request: RequestRecord) -> None:
    connection.execute(update(REQUESTS).where(REQUESTS.c.id == request.id).values(asdict(request)))
