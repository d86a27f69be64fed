"""The load generator, a process of its own: sends requests from several clients at once and says how it went.

Run by `send`, which hands it a JSON plan on standard input. Requests are made beforehand, the HTTP client is a bare protocol
on a keep-alive connection, so that on two cores the generator leaves the collector as much as it can.
"""

import asyncio
import collections
import gzip
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import grpc
import msgspec
import uvloop

from benchmarks.spans import read_requests

_RETRY_SECONDS = 0.1
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_OK = 200


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: requests `first` to `first + count` of `file`, by `clients` at once, closed loop.

    With `keys` of several tenants client n uses key n modulo their number; with `pace_seconds` a client starts a request each
    so many seconds instead of at once after the answer.
    """

    protocol: str
    port: int
    keys: tuple[str, ...]
    file: str
    first: int = 0
    count: int
    clients: int = 4
    gzip: bool = False
    pace_seconds: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it went: requests acknowledged and repeated, seconds by the wall and of the generator's own CPU, seconds to an ack."""

    requests: int
    repeats: int
    wall_seconds: float
    cpu_seconds: float
    ack_median_seconds: float
    ack_worst_seconds: float
    statuses: dict[str, int]
    size_bytes: int


def send(plan: Plan) -> Outcome:
    """Carry out a plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


class HttpClient(asyncio.Protocol):
    """One keep-alive connection that sends one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a TCP connection's transport writes

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed by the collector"))

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, headers and body."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._answer.set_result(int(head[9:12]))

    async def request(self, head: bytes, body: bytes) -> int:
        """Send one request and return the answer's status."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines((head, body))
        return await self._answer


async def connect_http(plan: Plan, number: int) -> Callable[[bytes], Awaitable[str]]:
    """A function that sends one body over HTTP and returns the status."""
    _, client = await asyncio.get_running_loop().create_connection(HttpClient, "127.0.0.1", plan.port)
    fixed = (
        f"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\nuser-agent: OTel-OTLP-Exporter-Python/1.45.0\r\n"
        f"content-type: application/x-protobuf\r\nx-api-key: {plan.keys[number % len(plan.keys)]}\r\n"
        + ("content-encoding: gzip\r\n" if plan.gzip else "")
    ).encode()

    async def post(body: bytes) -> str:
        status = await client.request(b"%scontent-length: %d\r\n\r\n" % (fixed, len(body)), body)
        return str(status)

    return post


async def connect_grpc(plan: Plan, number: int) -> Callable[[bytes], Awaitable[str]]:
    """A function that sends one body over gRPC, on a connection of its own, and returns the status."""
    # local_subchannel_pool: otherwise all channels of a process share one connection
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{plan.port}", options=[("grpc.use_local_subchannel_pool", 1)])
    call = channel.unary_unary(_EXPORT)
    metadata = (("x-api-key", plan.keys[number % len(plan.keys)]),)
    compression = grpc.Compression.Gzip if plan.gzip else grpc.Compression.NoCompression

    async def export(body: bytes) -> str:
        try:
            await call(body, metadata=metadata, compression=compression)
        except grpc.aio.AioRpcError as exc:
            return str(exc.code().name)
        return str(_OK)

    return export


class _Run:
    def __init__(self, plan: Plan, bodies: Sequence[bytes]) -> None:
        self.plan = plan
        self.acks: list[float] = []
        self.repeats = 0
        self.statuses: collections.Counter[str] = collections.Counter()
        self._bodies: Iterator[bytes] = iter(bodies)

    async def client(self, number: int) -> None:
        """Send until nothing is left."""
        connect = connect_http if self.plan.protocol == "http" else connect_grpc
        post = await connect(self.plan, number)
        pace = self.plan.pace_seconds
        due = time.monotonic() + pace * number / self.plan.clients
        for body in self._bodies:
            if pace:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += pace
            started = time.monotonic()
            while (status := await post(body)) != str(_OK):
                self.statuses[status] += 1
                self.repeats += 1
                await asyncio.sleep(_RETRY_SECONDS)
            self.acks.append(time.monotonic() - started)

    async def clients(self) -> None:
        """All clients at once."""
        await asyncio.gather(*(self.client(number) for number in range(self.plan.clients)))


def carry_out(plan: Plan) -> Outcome:
    """Send everything and say how it went."""
    bodies = read_requests(Path(plan.file), first=plan.first, count=plan.count)
    size_bytes = sum(map(len, bodies))
    if plan.gzip and plan.protocol == "http":
        bodies = [gzip.compress(body, 6) for body in bodies]
    run = _Run(plan, bodies)
    wall, cpu = time.monotonic(), time.process_time()
    (uvloop.run if plan.protocol == "http" else asyncio.run)(run.clients())
    acks = sorted(run.acks)
    return Outcome(
        requests=len(acks),
        repeats=run.repeats,
        wall_seconds=time.monotonic() - wall,
        cpu_seconds=time.process_time() - cpu,
        ack_median_seconds=acks[len(acks) // 2],
        ack_worst_seconds=acks[-1],
        statuses=dict(run.statuses),
        size_bytes=size_bytes,
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(carry_out(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))))
