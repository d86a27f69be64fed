"""Pages that a browser asks: how they are served, who may sign in, and how a person gets from the door to a page."""

import json
import os
import time
import urllib.request
from pathlib import Path

from muniment.cli.app import run

WAIT = 120_000
MOST_PIXELS = 6_000
GROUPS = """\
version: 1
grants:
  - {group: auditors, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: officers, role: compliance-officer}
  - {group: reliability, role: sre}
  - {group: globex-admins, role: tenant-admin, tenants: [globex]}
"""
PEOPLE = {
    "ines": {"email": "ines@auditors.example", "email_verified": True, "groups": ["auditors"]},
    "odile": {"groups": ["officers"]},
    "olga": {"email": "olga@example.org", "email_verified": False, "groups": ["officers"]},
    "sven": {"groups": ["reliability", "unknown"]},
    "tara": {"groups": ["globex-admins"]},
    "nora": {"email": "nora@example.org", "email_verified": True, "groups": ["unknown"], "roles": ["operator"]},
    "mute": {},
}


def prepare(lake, provider, port, **more):
    """Have the lake's pages ask for sign-in; returns the client that the provider registered."""
    client = provider.register(f"http://127.0.0.1:{port}/oauth2callback")
    sign_in = {"issuer": provider.issuer, "client_id": client.id, "client_secret_variable": "PAGES_SECRET"}
    with (lake / "muniment.yaml").open("a") as settings:
        for name, value in {"dashboards": {"port": port, "sign_in": sign_in}, **more}.items():
            settings.write(f"\n{name}: {json.dumps(value)}\n")
    (lake / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    return client


def settled(tab):
    """Wait until the page has drawn all of it, and return its text."""
    tab.wait_for_selector("h1")
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    tab.wait_for_function("!document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton], #first-paint')")
    return tab.inner_text("body")


def first_paint(address, cookies=(), *, having=""):
    """What a browser with these cookies gets at an address before it runs anything, once that has a text, which a busy machine draws late."""
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    asked = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", **({"Cookie": cookie} if cookie else {})}
    deadline = time.monotonic() + WAIT / 1000
    while True:
        with urllib.request.urlopen(urllib.request.Request(address, headers=asked), timeout=WAIT / 1000) as answer:
            text = answer.read().decode()
        if having in text or time.monotonic() > deadline:
            return text.partition('<div id="root"></div>')[2]


def picture(tab, name):
    """Keep what the tab shows, whole, in `$MUNIMENT_SCREENSHOTS`, else in `build/screenshots`."""
    named = os.environ.get("MUNIMENT_SCREENSHOTS")
    folder = Path(named) if named else Path(__file__).parents[1] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    settled(tab)
    size = tab.viewport_size
    whole = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")  # the page scrolls within this
    tab.set_viewport_size({"width": size["width"], "height": min(max(whole, size["height"]), MOST_PIXELS)})
    tab.screenshot(path=folder / f"{name}.png")
    tab.set_viewport_size(size)


def sign_in(tab, address, person):
    """From the door through the provider's form to the page that `address` names."""
    tab.goto(address)
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_role("button", name=person).first.click()
    tab.wait_for_url(f"{address.split('/', 3)[0]}//{address.split('/', 3)[2]}/**")
    return settled(tab)
