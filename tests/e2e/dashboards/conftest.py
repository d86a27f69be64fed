"""A lake with two tenants whose texts try to be markup, its pages, and a browser."""

import json
import shutil
import time
from functools import partial
from types import SimpleNamespace

import pytest

from benchmarks.loopback import free_port, serving
from muniment.cli.app import run
from tests.pages import PEOPLE, WAIT, prepare
from tests.provider import running_provider
from tests.template import init_lake

DAY = 86_400_000_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4701"
MARKUP = "<script>document.title='taken'</script><img src=x onerror=alert(1)> **bold** \u202egnp.exe"


def attribute(key, value):
    """One OTLP attribute."""
    return {"key": key, "value": {"stringValue": value}}


def requests(canary):
    """One OTLP request of spans and one of log records."""
    start = time.time_ns() - DAY // 4
    spans = [
        {
            "traceId": TRACE,
            "spanId": f"00f067aa0ba902b{number}",
            "parentSpanId": "" if number == 1 else "00f067aa0ba902b1",
            "name": name,
            "startTimeUnixNano": str(start + number * 10_000_000),
            "endTimeUnixNano": str(start + 900_000_000),
            "status": {"code": 2} if number == 3 else {},
            "attributes": [attribute("gen_ai.operation.name", operation), attribute("gen_ai.agent.name", "Buyer")],
        }
        for number, name, operation in (
            (1, f"invoke_agent {canary}", "invoke_agent"),
            (2, MARKUP, "chat"),
            (3, "execute_tool pay", "execute_tool"),
        )
    ]
    events = [
        {
            "timeUnixNano": str(start + number),
            "traceId": TRACE,
            "spanId": "00f067aa0ba902b1",
            "eventName": name,
            "attributes": [
                attribute("event.name", name),
                attribute("audit.actor.id", "agent-7"),
                attribute("audit.actor.type", "agent"),
                attribute("audit.outcome", outcome),
                attribute("audit.reason", f"{MARKUP} {canary}"),
            ],
        }
        for number, (name, outcome) in enumerate(
            [("approval.requested", "success"), ("approval.denied", "denied"), ("handoff.requested", "success")]
        )
    ]
    yield {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": spans}]}]}
    yield {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"logRecords": events}]}]}


@pytest.fixture(scope="session")
def recorded():
    """What the lake's records hold: the trace's id, and the text that tries to be markup."""
    return SimpleNamespace(trace=TRACE, markup=MARKUP)


@pytest.fixture(scope="package")
def lake(tmp_path_factory):
    """The lake: acme's and globex's records differ by a word."""
    return make_lake(tmp_path_factory.mktemp("pages") / "lake")


@pytest.fixture(scope="session")
def fill_lake():
    """How such a lake is made in another folder."""
    return make_lake


def make_lake(folder):
    """A lake with two tenants."""
    init_lake(folder, "acme", "globex")
    for tenant in ("acme", "globex"):
        file = folder.parent / f"{tenant}.jsonl"
        file.write_text("".join(json.dumps(each) + "\n" for each in requests(f"canary-of-{tenant}")))
        assert run(["import", str(file), "--tenant", tenant, "--lake", str(folder)]) == 0
    return folder


@pytest.fixture(scope="package")
def pages(lake):
    """The address of the lake's pages, as `muniment dashboard` serves them."""
    with serving(lake) as (_, address):
        yield address


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; it ends with its module, since Playwright's running event loop is in the way of every other one."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("pages: no chromium is installed; `apt-get install chromium` and run the tests again")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        # Pages that move while they wait cost a busy machine more than what is tested on them.
        started.new_context = partial(started.new_context, reduced_motion="reduce")
        yield started
        started.close()


@pytest.fixture(scope="package")
def provider():
    """The provider, which knows these people."""
    with running_provider(PEOPLE) as running:
        yield running


@pytest.fixture(scope="package")
def signed(provider, tmp_path_factory):
    """Pages that ask for sign-in: lake, process, address, the client, and what they write to their terminal."""
    folder = tmp_path_factory.mktemp("signed")
    lake, port = make_lake(folder / "lake"), free_port()
    client = prepare(lake, provider, port)
    with (
        (folder / "log").open("wb") as log,
        serving(lake, port=port, log=log, PAGES_SECRET=client.secret) as (process, address),
    ):
        yield SimpleNamespace(lake=lake, process=process, address=address, client=client, log=folder / "log", port=port)


@pytest.fixture
def tab(browser):
    """A fresh browser without cookies."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()
