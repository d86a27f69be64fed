"""The files that a browser runs, Streamlit's own, from memory; and what a page will need named in the first answer.

Streamlit reads each of some hundred files from disk for every new browser, in the process that draws the page meanwhile, and a browser
hears of most of them only once the page's elements are there. Here each is read once, and `index.html` names what nearly every page
draws with (`modulepreload`, HTML Living Standard, section 4.6.7.10), so that it is fetched while the page is asked for.

Invariant: what is given is a file of Streamlit's folder, byte by byte, but for those links in `index.html`; names that are not in it
are left to Streamlit.
"""

import mimetypes
import re
from collections.abc import Collection, Iterable
from functools import cache, cached_property
from pathlib import Path

from dashboards.asgi import Application, Message, Receive, Send, answer

PREFIX = "/static/"
DRAWN_WITH = ("Button", "DataFrame", "DownloadButton", "Selectbox", "Spinner", "TextInput")
"""Modules of Streamlit that nearly every page needs, by what their names begin with."""
_IMPORTS = re.compile(r'(?:from|import)"\./([^"]+\.js)"')
_FOREVER = "public, immutable, max-age=31536000"  # names hold a hash of what the files hold
_NEVER = "no-cache"


class BrowserFiles:
    """An ASGI application that gives the files of `folder`, and `index.html` for `pages`; everything else is `application`'s."""

    def __init__(self, application: Application, folder: Path, pages: Collection[str]) -> None:
        self._application = application
        self._folder = folder
        self._pages = frozenset(pages)
        self._names = frozenset(
            file.relative_to(folder).as_posix() for file in (folder / "static").rglob("*") if file.is_file()
        )
        self._read = cache(lambda name: (folder / name).read_bytes())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a GET of a file or a page; leave all else to the application."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._application(scope, receive, send)
        elif scope["path"].removeprefix("/") in self._names:
            name = scope["path"].removeprefix("/")
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            await answer(send, self._read(name), kind=kind, caching=_FOREVER)
        elif scope["path"] in self._pages:
            await answer(send, self._index, kind="text/html; charset=utf-8", caching=_NEVER)
        else:
            await self._application(scope, receive, send)

    @cached_property
    def _index(self) -> bytes:
        text = (self._folder / "index.html").read_text(encoding="utf8")
        links = (
            f'<link rel="modulepreload" crossorigin href=".{PREFIX}js/{name}">'
            for name in self._needed()
            if name not in text
        )
        return text.replace("</head>", "".join(links) + "</head>", 1).encode()

    def _needed(self) -> Iterable[str]:
        """The modules of `DRAWN_WITH` and all that they import, in the order of their names."""
        scripts = {Path(name).name for name in self._names if name.endswith(".js")}
        found: set[str] = set()
        wanted = [name for name in scripts if name.partition(".")[0] in DRAWN_WITH]
        while wanted:
            name = wanted.pop()
            if name not in found and name in scripts:
                found.add(name)
                wanted += _IMPORTS.findall(self._read(f"static/js/{name}").decode())
        return sorted(found)
