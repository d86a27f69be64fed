"""What serves the pages: `python -m dashboards.server --port PORT [--secrets FILE] -- LAKE`.

Everything that a first visitor would wait for is brought in before the port answers: pages, charts, the desk and what it reads with.
What was brought in stays: it is taken out of what Python's garbage collector looks through, which Streamlit calls after every run of a
page, and which would keep the process from sending that page for a tenth of a second.
"""

import argparse
import gc
import logging
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from dashboards.desk import TENDED_SECONDS, Desk
from dashboards.door import Door, Message, Receive, Send
from dashboards.first_paint import FirstPaint
from dashboards.pages import desk_at
from dashboards.service import options

_log = logging.getLogger(__name__)
_FIRST_NEEDED = ("altair", "pandas", "streamlit.dataframe_util", "streamlit.elements.arrow", "streamlit.web.bootstrap")
_ENTRY = Path(__file__).parent / "entry" / "app.py"


def main(words: list[str]) -> None:
    """Warm up, and then serve what the words name until a signal ends it."""
    parser = argparse.ArgumentParser("dashboards.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secrets")
    parser.add_argument("lake")
    given = parser.parse_args(words)
    for name in _FIRST_NEEDED:
        import_module(name)
    desk = desk_at(given.lake)
    desk.warm()
    from streamlit.web.server.starlette import App

    gc.collect()
    gc.freeze()

    class Guarded(App):
        """Streamlit's application behind the door."""

        def __init__(self) -> None:
            super().__init__(_ENTRY)
            self._first = FirstPaint(self._behind, signs_in=desk.asks_sign_in)

        async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
            await Door(self._first, signs_in=desk.asks_sign_in)(scope, receive, send)

        async def _behind(self, scope: Message, receive: Receive, send: Send) -> None:
            await super().__call__(scope, receive, send)

    threading.Thread(target=_tend, args=(desk,), name="tend", daemon=True).start()
    sys.argv = [str(_ENTRY), given.lake]  # as the script, which runs anew for each session, finds them
    Guarded().run(config=options(given.port, given.secrets))


def _tend(desk: Desk) -> None:
    while True:
        time.sleep(TENDED_SECONDS)
        try:
            desk.tend()
        except Exception:  # noqa: BLE001 - a page asks for itself what was not asked ahead
            _log.exception("answers were not tended")


if __name__ == "__main__":
    main(sys.argv[1:])
