"""Both receivers on one event loop in one thread: start, stop, TLS, and which ports they took.

One loop, because gRPC's asynchronous server shares uvloop with uvicorn at less CPU than a thread pool of its own; one thread
of its own, because the process has other work and signals belong to its main thread.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import uvloop

from collectors.config import ReceiversConfig
from collectors.exports import IntakeLimits
from collectors.grpc import GrpcReceiver, server_options
from collectors.http import HttpReceiver
from collectors.http_server import ListeningServer, http_settings, listen
from collectors.reception import Admission, Intake, KeyResolver, Reception
from warehouse.clock import Clock
from warehouse.errors import UnavailableError

KEEP_ALIVE_SECONDS = 75
"""Longer than exporters' usual intervals (5 to 60 s): a connection closed just as it is used again costs a retry."""

_START_SECONDS = 30.0
_SPARE_STOP_SECONDS = 10.0
_WORKERS = 4
_DECODERS = 2
_BACKLOG = 2048


class Receivers:
    """The HTTP and gRPC receivers of one collector.

    `start` returns once both listen and is called once; `stop` returns once what was in hand is answered or its grace is
    over, and is safe to call without a start and twice. The intake must run until `stop` has returned. `ready` names what
    keeps the collector from taking requests (nothing: ready), `metrics_text` is Prometheus text; both may block.
    """

    def __init__(
        self,
        config: ReceiversConfig,
        *,
        intake: Intake,
        keys: KeyResolver,
        limits: IntakeLimits,
        clock: Clock,
        digest_key: bytes,
        ready: Callable[[], list[str]],
        metrics_text: Callable[[], bytes],
    ) -> None:
        config.check()
        self._config = config
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="receivers")
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="receivers-decode")
        self._reception = Reception(
            intake=intake,
            keys=keys,
            clock=clock,
            digest_key=digest_key,
            limits=limits,
            admission=Admission(config.max_concurrent_requests, config.max_concurrent_bytes),
            workers=self._workers,
            decoders=self._decoders,
        )
        self._http = HttpReceiver(self._reception, ready=ready, metrics=metrics_text, body_seconds=config.body_seconds)
        self._grpc = GrpcReceiver(self._reception, ready=ready)
        self._listening: Future[tuple[int, int]] = Future()
        self._ports = (0, 0)
        self._grace_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="receivers", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def http_port(self) -> int:
        """The port that HTTP took."""
        return self._ports[0]

    @property
    def grpc_port(self) -> int:
        """The port that gRPC took."""
        return self._ports[1]

    @property
    def answered(self) -> Counter[tuple[str, str, int]]:
        """Requests answered so far, by protocol, signal and the protocol's status code."""
        return self._reception.answered

    def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: a port is in use.
            SettingsError: a host that is none of this machine's, or TLS files that cannot be used.
        """
        self._thread.start()
        try:
            self._ports = self._listening.result(_START_SECONDS)
        except TimeoutError as exc:
            raise UnavailableError(f"receivers: expected to listen within {_START_SECONDS:g} s, got nothing") from exc

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no more requests, answer those in hand, then end. Requests unanswered after the grace are cut off."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._grace_seconds = grace_seconds
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.ident is not None:
            self._thread.join(grace_seconds + _SPARE_STOP_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - whoever waits for the start must hear of whatever went wrong
            if not self._listening.done():
                self._listening.set_exception(exc)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        host, port = self._config.host, self._config.http_port
        in_use = _in_use(host, port, "http_port")
        listener = listen(host, port, server="receivers", backlog=_BACKLOG, in_use=in_use)
        http_listens = asyncio.Event()
        try:
            http_server = self._http_server(http_listens.set)
            grpc_server, grpc_port = self._grpc_server()
        except BaseException:
            listener.close()
            raise
        await grpc_server.start()
        http_task = asyncio.create_task(http_server.serve([listener]))
        listening = asyncio.create_task(http_listens.wait())
        await asyncio.wait({http_task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if http_task.done():
            await http_task
        self._listening.set_result((listener.getsockname()[1], grpc_port))
        await self._stopping.wait()
        http_server.config.timeout_graceful_shutdown = max(1, round(self._grace_seconds))
        http_server.should_exit = True
        await asyncio.gather(http_task, grpc_server.stop(self._grace_seconds))

    def _http_server(self, tell: Callable[[], None]) -> ListeningServer:
        config = self._config
        settings = http_settings(
            self._http,
            server="receivers",
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            certificate=config.tls_cert_file,
            key=config.tls_key_file,
            client_ca=config.tls_client_ca_file,
        )
        return ListeningServer(settings, tell)

    def _grpc_server(self) -> tuple[grpc.aio.Server, int]:
        config = self._config
        server = grpc.aio.server(options=server_options(self._reception.limits))
        server.add_generic_rpc_handlers((self._grpc,))
        address = f"[{config.host}]:{config.grpc_port}" if ":" in config.host else f"{config.host}:{config.grpc_port}"
        try:
            if config.tls_cert_file is None or config.tls_key_file is None:
                return server, server.add_insecure_port(address)
            ca = None if config.tls_client_ca_file is None else Path(config.tls_client_ca_file).read_bytes()
            pair = (Path(config.tls_key_file).read_bytes(), Path(config.tls_cert_file).read_bytes())
            credentials = grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)
            return server, server.add_secure_port(address, credentials)
        except RuntimeError as exc:
            raise _in_use(config.host, config.grpc_port, "grpc_port") from exc


def _in_use(host: str, port: int, setting: str) -> UnavailableError:
    return UnavailableError(
        f"receivers: expected {setting} {port} on {host} to be free, got it in use by another process",
        hint=f"`ss -ltnp 'sport = :{port}'` names the process; another collector of this lake may run already."
        f" Stop it, or set receivers.{setting} in the lake's muniment.yaml",
    )
