"""Streamlit's files from memory: the same bytes, and what a page will need named at once."""

import asyncio
from pathlib import Path

import pytest
from streamlit.file_util import get_static_dir

from dashboards.browser_files import DRAWN_WITH, BrowserFiles

STREAMLIT = Path(get_static_dir())


async def application(_scope, _receive, send):
    """Answers what is left to it."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"left"})


@pytest.fixture(scope="module")
def files():
    return BrowserFiles(application, STREAMLIT, ["/", "/overview"])


def ask(files, path, method="GET"):
    """Status, headers and body of the answer."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(files({"type": "http", "method": method, "path": path, "headers": []}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("kind", ["js", "css", "woff2"])
def test_a_file_is_given_byte_by_byte_and_kept_by_the_browser(files, kind):
    """What its name holds a hash of does not change: a browser asks for it once."""
    file = next((STREAMLIT / "static").rglob(f"*.{kind}"))
    status, headers, body = ask(files, f"/{file.relative_to(STREAMLIT).as_posix()}")
    assert (status, body) == (200, file.read_bytes())
    assert b"immutable" in headers[b"cache-control"]
    assert headers[b"content-type"] == {
        "js": b"text/javascript", "css": b"text/css", "woff2": b"font/woff2"
    }[kind]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/static/../index.html", "/static/js/..%2f..%2findex.html", "/static//js", "/static/js/none.js", "/_stcore/health", "/other", "//static/js"],
)  # fmt: skip
def test_every_other_name_is_left_to_the_application(files, path):
    """No path leads out of the folder, since names are looked up and not opened."""
    assert ask(files, path)[2] == b"left"


def test_only_a_get_is_answered(files):
    """What changes something is nothing that a file answers."""
    assert ask(files, "/overview", "POST")[2] == b"left"


def test_a_page_names_what_it_is_drawn_with(files):
    """Each module is named before the page asks for it, with all that it imports, once; the rest of the page is Streamlit's."""
    status, headers, body = ask(files, "/overview")
    text, own = body.decode(), (STREAMLIT / "index.html").read_text(encoding="utf8")
    assert (status, headers[b"cache-control"]) == (200, b"no-cache")
    links = [
        part.partition('">')[0] for part in text.split('<link rel="modulepreload" crossorigin href="./static/js/')[1:]
    ]
    assert len(links) == len(set(links))
    assert all((STREAMLIT / "static" / "js" / name).is_file() for name in links)
    for stem in DRAWN_WITH:
        assert any(name.startswith(f"{stem}.") for name in links), f"{stem}: Streamlit has no such module any more"
    begin, end = own.split("</head>", 1)
    assert text.startswith(begin)
    assert text.endswith("</head>" + end)
