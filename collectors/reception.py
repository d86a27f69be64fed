"""What both receivers do with a request: who sent it, is there room, undo its encoding, hand it to the intake.

OTLP over HTTP and over gRPC differ in framing and status codes alone; everything that decides about a request is here.
The invariant: an `Outcome` is returned only after the intake resolved its future, that is, once the records are durable.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeVar

from collectors.bodies import body_digest, decompress, decompress_unlabelled
from collectors.exports import Export, IntakeLimits, Outcome, Refusal, Sender, Signal
from collectors.otlp_json import parse
from warehouse.clock import Clock
from warehouse.errors import InputError, OverloadedError, UnauthenticatedError

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

UNLABELLED = "unlabelled"
"""Content encoding of a gRPC message: compressed or not, to be told from its bytes."""

INLINE_BYTES = 64 * 1024
"""Compressed and JSON bodies above this are decoded beside the event loop: they take over a millisecond."""

_Result = TypeVar("_Result")


class ResolvedKey(Protocol):
    """What a receiver needs of an API key."""

    @property
    def tenant_id(self) -> str:
        """The tenant that the key decides."""

    @property
    def key_id(self) -> str:
        """The key's public id."""

    @property
    def agent(self) -> str | None:
        """The one agent that the key is scoped to."""

    @property
    def event_patterns(self) -> tuple[str, ...] | None:
        """The event names that the key is scoped to."""


class KeyResolver(Protocol):
    """Finds the key that a request presents. Both methods are called from several threads."""

    def peek(self, key_text: str) -> ResolvedKey | None:
        """The key, if memory tells; None where `resolve` must be asked. MUST NOT block.

        Raises:
            UnauthenticatedError: memory tells that it is none.
        """

    def resolve(self, key_text: str) -> ResolvedKey:
        """The key, asking the control database if need be. MAY block.

        Raises:
            UnauthenticatedError: no key that is valid now.
            ControlUnavailableError: the database does not answer.
        """


class Intake(Protocol):
    """Takes requests in. Both methods are called from several threads."""

    def submit(self, export: Export) -> Future[Outcome]:
        """Queue a request; the future resolves once its records are durable. MUST NOT block.

        Raises:
            OverloadedError: the queue is full.
        """

    def undecodable(
        self, signal: Signal, sender: Sender, *, content_type: str, size_bytes: int, reason: str, digest: bytes
    ) -> None:
        """Count and quarantine a body that was never decoded: what it was, never what it said. MAY block.

        Raises:
            UnavailableError: that cannot be written down now.
        """


@dataclass(frozen=True)
class Arrival:
    """One authenticated request as read off the wire."""

    signal: Signal
    sender: Sender
    content_type: str
    encoding: str
    body: bytes


class Admission:
    """Bounds what is in hand at once, in requests and in bytes of bodies; used on one thread, the event loop's."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self.requests = 0
        self.size_bytes = 0

    def enter(self) -> "Place":
        """Take a place, to be given back by leaving its `with` block.

        Raises:
            OverloadedError: there is none.
        """
        if self.requests >= self._max_requests:
            raise OverloadedError(
                f"requests in hand: expected fewer than {self._max_requests}, got {self.requests}",
                retry_after_seconds=1,
            )
        self.requests += 1
        return Place(self)

    def hold(self, size_bytes: int) -> None:
        """Count bytes that a request holds.

        Raises:
            OverloadedError: together they are over the bound.
        """
        if self.size_bytes + size_bytes > self._max_bytes:
            raise OverloadedError(
                f"bytes of requests in hand: expected at most {self._max_bytes}, got more", retry_after_seconds=1
            )
        self.size_bytes += size_bytes


class Place:
    """A request's place in an `Admission`, with the bytes it holds."""

    __slots__ = ("_admission", "size_bytes")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Count bytes held until the place is left."""
        self._admission.hold(size_bytes)
        self.size_bytes += size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.requests -= 1
        self._admission.size_bytes -= self.size_bytes


@dataclass
class Reception:
    """The way of a request from its key to its outcome, for both receivers."""

    intake: Intake
    keys: KeyResolver
    clock: Clock
    digest_key: bytes = field(repr=False)
    limits: IntakeLimits
    admission: Admission
    workers: Executor
    """For what waits: the control database, the quarantine, the state of readiness."""
    decoders: Executor
    """For large bodies. Apart, so that a database that hangs stops no decoding; few, so that few are unpacked at once."""
    answered: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Requests by protocol (`http`, `grpc`), signal and the protocol's status code."""

    async def authenticate(self, key_text: str | None, peer: str) -> Sender:
        """The sender whose key this is. Costs no thread where the key is in memory.

        Raises:
            UnauthenticatedError: no key, or none that is valid.
            ControlUnavailableError: that cannot be told now.
        """
        if not key_text:
            raise UnauthenticatedError(
                "API key: expected one in `Authorization: Bearer …` or `x-api-key`, got none",
                hint="`muniment key issue` makes one",
            )
        key = self.keys.peek(key_text)
        if key is None:
            key = await self.aside(lambda: self.keys.resolve(key_text))
        return Sender(
            tenant_id=key.tenant_id,
            key_id=key.key_id,
            recorded_by=f"key:{key.key_id}",
            peer=peer,
            agent=key.agent,
            event_patterns=key.event_patterns,
        )

    async def take(self, arrival: Arrival, place: Place) -> Outcome:
        """Decode a request and wait until the intake has made it durable.

        Raises:
            InputError: the body cannot be used; it was reported to the intake as undecodable.
            UnavailableError: nothing was acknowledged; the same request may succeed later.
        """
        try:
            if len(arrival.body) > INLINE_BYTES and (arrival.encoding or arrival.content_type == JSON):
                export = await asyncio.get_running_loop().run_in_executor(self.decoders, self._decode, arrival)
            else:
                export = self._decode(arrival)
        except InputError as exc:
            reason = str(exc)
            await self.aside(lambda: self.report(arrival, reason, len(arrival.body)))
            raise
        if export.body is not arrival.body:
            place.hold(len(export.body))
        return await settled(self.intake.submit(export))

    def report(self, arrival: Arrival, reason: str, size_bytes: int) -> None:
        """Tell the intake of a body that could not be decoded, or was too large to be read. Blocks."""
        self.intake.undecodable(
            arrival.signal,
            arrival.sender,
            content_type=arrival.content_type,
            size_bytes=size_bytes,
            reason=reason,
            digest=body_digest(self.digest_key, arrival.signal, arrival.sender.key_id, arrival.body),
        )

    async def aside(self, work: Callable[[], _Result]) -> _Result:
        """Run what may wait beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, work)

    def _decode(self, arrival: Arrival) -> Export:
        signal, body = arrival.signal, arrival.body
        if arrival.encoding == UNLABELLED:
            body = decompress_unlabelled(body, self.limits)
        elif arrival.encoding:
            body = decompress(body, arrival.encoding, self.limits)
        digest = body_digest(self.digest_key, signal, arrival.sender.key_id, body)
        refused: tuple[Refusal, ...] = ()
        if arrival.content_type == JSON:
            parsed = parse(signal, body, self.limits)
            body, refused = parsed.protobuf, parsed.refused
        return Export(signal, body, arrival.sender, self.clock(), digest, refused)


async def settled(future: Future[_Result]) -> _Result:
    """Wait for a future of another thread without a thread of one's own.

    Unlike `asyncio.wrap_future`, giving up waiting (a client gone, a deadline passed) does not cancel the future: the intake
    may be writing those records, and what it wrote stays written.
    """
    if future.done():
        return future.result()
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def done(_future: Future[_Result]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(done)
    await waiter
    return future.result()
