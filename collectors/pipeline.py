"""What happens to a group of requests: decode, quarantine what is refused, treat, append.

The receivers' intake and the file import both go through here; nothing else leads from a payload to the writer.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from collectors.actions import TenantKey, add_action_digests
from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Refusal, Sender, Signal
from warehouse.catalogue import is_audit
from warehouse.clock import Clock
from warehouse.errors import DecodeError
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.quarantine import Quarantine, QuarantineEntry
from warehouse.treated import Redactor, RequestMark, TreatedBatch

_ID_BYTES = 8


class BatchSink(Protocol):
    """Where treated batches go: a shard's writer.

    `append` MUST return at once, MUST resolve the future only when the rows are durable, and MUST keep the order of calls.
    It MAY raise `Transient` errors.
    """

    def append(self, batch: TreatedBatch) -> Future[None]:
        """Queue one batch."""
        ...


@dataclass(frozen=True)
class GroupPipeline:
    """Everything that a group passes through, in order. Thread-safe as far as its parts are.

    `action_key` gives a tenant's key of action digests.
    """

    sink: BatchSink
    redactor: Redactor
    quarantine: Quarantine
    prices: PriceBook
    limits: IntakeLimits
    clock: Clock
    action_key: TenantKey

    def process(
        self, exports: Sequence[Export], *, transactions: tuple[tuple[str, int], ...] = (), keep_empty: bool = True
    ) -> tuple[DecodedGroup, Future[None]]:
        """Take a group as far as the writer; the future resolves once its rows are durable.

        What was refused is durable in quarantine, and its `record.rejected` events in the journal, before this returns.
        With `transactions` the group is a chunk of an import: its requests are not remembered for the retry window. Without
        `keep_empty` a group of which nothing is kept leaves no transaction.

        Raises:
            UnavailableError: quarantine or writer cannot take it; nothing may be acknowledged.
        """
        decoded = decode_group(exports, limits=self.limits, prices=self.prices)
        records = add_action_digests(decoded.records, self.action_key)
        if transactions:
            records = replace(records, requests=(), transactions=transactions)
        batch = self.redactor.treat(records)
        if batch.records.rejected:
            decoded = decoded.without(exports, decoded.sources.refusals(batch.records.rejected))
        rejections = self._quarantine_refused(exports, decoded)
        if rejections:
            events = own_event_records(rejections, now_unix_nano=self.clock())
            # waited for, so that the group's own future covers these events too
            self.sink.append(self.redactor.treat(events)).result()
        if not batch.records.rows and not keep_empty:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return decoded, nothing
        if not transactions:
            batch = batch.with_requests(self._treated_marks(exports, decoded))
        return decoded, self.sink.append(batch)

    def _treated_marks(self, exports: Sequence[Export], decoded: DecodedGroup) -> tuple[RequestMark, ...]:
        """Marks of the requests; what they would answer to a repeat is kept, and so it is redacted."""
        readable = [
            export
            for export, outcome in zip(exports, decoded.outcomes, strict=True)
            if not isinstance(outcome, DecodeError)
        ]
        return tuple(
            replace(mark, message=self.redactor.redact_text(export.sender.tenant_id, mark.message))
            if mark.message
            else mark
            for export, mark in zip(readable, decoded.records.requests, strict=True)
        )

    def quarantine_body(
        self, signal: Signal, sender: Sender, *, content_type: str, size_bytes: int, reason: str, digest: bytes
    ) -> None:
        """Quarantine a body that is not what it claims: reason, size, type, key id and digest, nothing of its content.

        Raises:
            UnavailableError: quarantine cannot be written.
        """
        entry = QuarantineEntry(
            tenant_id=sender.tenant_id,
            unix_nano=self.clock(),
            signal=signal.value,
            reason="undecodable",
            message=reason,
            recorded_by=sender.recorded_by,
            peer=sender.peer,
            content_type=content_type,
            size_bytes=size_bytes,
            digest=digest.hex(),
            id=_entry_id(digest, -1),
        )
        self.quarantine.add([entry])

    def _quarantine_refused(self, exports: Sequence[Export], decoded: DecodedGroup) -> list[OwnEvent]:
        now = self.clock()
        for export, outcome in zip(exports, decoded.outcomes, strict=True):
            if isinstance(outcome, DecodeError):
                self.quarantine_body(
                    export.signal,
                    export.sender,
                    content_type="application/x-protobuf",
                    size_bytes=len(export.body),
                    reason=self.redactor.redact_text(export.sender.tenant_id, str(outcome)),
                    digest=export.digest,
                )
        if decoded.refusals:
            numbers: dict[int, int] = {}
            entries = []
            for at, refusal in decoded.refusals:
                numbers[at] = numbers.get(at, -1) + 1
                entries.append(self._treated(_entry(exports[at], refusal, now, numbers[at])))
            self.quarantine.add(entries)
        return [
            _rejected_event(exports[at], refusal)
            for at, refusal in decoded.refusals
            if refusal.event_name is not None and is_audit(refusal.event_name)
        ]

    def _treated(self, entry: QuarantineEntry) -> QuarantineEntry:
        """An entry as it may reach the disk."""
        tenant, redactor = entry.tenant_id, self.redactor
        return replace(
            entry,
            message=redactor.redact_text(tenant, entry.message),
            event_name=entry.event_name and redactor.redact_text(tenant, entry.event_name),
            record=entry.record and redactor.redact_record(tenant, entry.record),
        )


def _entry_id(digest: bytes, number: int) -> str:
    """Id of the entry for one record of a request: the same again when the request is sent again."""
    return hashlib.sha256(digest + number.to_bytes(8, "big", signed=True)).digest()[:_ID_BYTES].hex()


def _entry(export: Export, refusal: Refusal, now: int, number: int) -> QuarantineEntry:
    return QuarantineEntry(
        tenant_id=export.sender.tenant_id,
        unix_nano=now,
        signal=refusal.signal.value,
        reason=refusal.reason,
        message=refusal.message,
        recorded_by=export.sender.recorded_by,
        peer=export.sender.peer,
        event_name=refusal.event_name,
        record=refusal.record,
        id=_entry_id(export.digest, number),
    )


def _rejected_event(export: Export, refusal: Refusal) -> OwnEvent:
    """Build the `record.rejected` event for one refused audit event: name, reason and the request's keyed digest."""
    return OwnEvent(
        tenant_id=export.sender.tenant_id,
        name="record.rejected",
        recorded_by="muniment:collector",
        fields={
            "resource_type": "audit_event",
            "resource_id": refusal.event_name,
            "outcome": "denied" if refusal.reason == "out-of-scope" else "failure",
            "reason": refusal.message,
            "on_behalf_of": export.sender.recorded_by,
        },
        attributes={"muniment.reason": refusal.reason, "muniment.request.digest": export.digest.hex()},
        peer=export.sender.peer,
    )
