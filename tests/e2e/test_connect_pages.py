"""docs/connect: what the pages show is what the tests run."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from muniment.emit.change_events import ChangeEvents
from muniment.emit.identity_events import IdentityEvents
from muniment.emit.work_events import WorkEvents

PAGES = Path(__file__).parents[2] / "docs" / "connect"
SHOWN = {
    "python.md": ["python/custom_agent.py"],
    "openai-agents.md": ["python/openai_agents_app.py", "python/scripted_openai.py"],
    "langgraph.md": ["python/langgraph_app.py", "python/scripted_chat.py"],
    "vercel-ai.md": ["javascript/agent.mjs", "javascript/scripted-model.mjs", "javascript/package.json"],
    "collector.md": ["collector/collector.yaml"],
}
NOT_SHOWN = {"javascript/package-lock.json"}


@pytest.mark.parametrize(("page", "example"), [(page, each) for page, files in SHOWN.items() for each in files])
def test_page_shows_the_example_word_for_word(page, example):
    """A page holds each of its examples as one whole code block."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)
    assert (PAGES / "examples" / example).read_text() in blocks


def test_every_example_is_on_a_page():
    """No example is left that no page shows."""
    files = {str(path.relative_to(PAGES / "examples")) for path in (PAGES / "examples").rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert files == {each for group in SHOWN.values() for each in group} | NOT_SHOWN


def test_links_lead_somewhere():
    """Each link of a page to another file has that file at its end, and the index lists every page."""
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    index = (PAGES / "index.md").read_text()
    assert all(f"]({page})" in index for page in SHOWN)


def test_every_event_is_on_the_page():
    """The page on Python names each method of the emitter."""
    text = (PAGES / "python.md").read_text()
    methods = {name for family in (IdentityEvents, ChangeEvents, WorkEvents) for name in vars(family)}
    missing = {name for name in methods if not name.startswith("_") and f"`{name}`" not in text}
    assert missing == set()


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 443), 1)"],
        [sys.executable, "-c", "import urllib.request as u; u.urlopen('https://telemetry.invalid', timeout=1)"],
        ["node", "--require", "./guard.cjs", "-e", "fetch('https://telemetry.invalid').catch(() => {})"],
        ["node", "--require", "./guard.cjs", "-e", "require('http').get('http://192.0.2.1/').on('error', () => {})"],
    ],
)
def test_reaching_out_is_noticed(examples, command):
    """The guard under which examples run stops and reports a connection to another machine, whoever swallows the error."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"JavaScript: {command[0]} is not installed")
    examples.write_guards()
    with pytest.raises(AssertionError, match=r"reached for|reached outside"):
        examples.run(command, examples.folder, PYTHONPATH=str(examples.folder))
    assert "192.0.2.1" in examples.outside.read_text() or "telemetry.invalid" in examples.outside.read_text()
