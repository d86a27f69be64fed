"""uvicorn's HTTP connection with bounds on what comes before a request: uvicorn itself has none.

Without them one client without a key could fill memory with a header that never ends, or hold connections open by sending
nothing. The limits on bodies are in `collectors.http`, after the key is known.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


class BoundedConnection(HttpToolsProtocol):
    """One connection: request line and headers are at most `head_bytes` and the first is whole within `head_seconds`."""

    head_bytes = HEAD_BYTES
    head_seconds = HEAD_SECONDS

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._in_head = True
        self._moved_on = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Start the time that the first head has."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time that ran."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and refuse a head that has grown too long."""
        self._moved_on = False
        super().data_received(data)
        if self._moved_on:
            # What begins the next head in the same packet is not worth telling apart.
            self._head_bytes = 0
        elif self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.head_bytes and not self.transport.is_closing():
                self.send_400_response(f"head: expected at most {self.head_bytes} bytes of request line and headers")

    def on_headers_complete(self) -> None:
        """Note that a head is whole."""
        self._in_head = False
        self._moved_on = True
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        super().on_message_complete()
        self._in_head = True
        self._moved_on = True

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
