"""The vault between processes, on SQLite and PostgreSQL: they agree, a kill leaves no value behind, an outage masks."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from warehouse.control import ControlStore
from warehouse.errors import VaultUnavailableError
from warehouse.keys import LakeKeys
from warehouse.subjects import SubjectVault

KEYS = LakeKeys("0123456789abcdef", b"k" * 32)
MAKE_TOKENS = """
import json, sys
from warehouse.keys import LakeKeys
from warehouse.subjects import SubjectVault
vault = SubjectVault.open(sys.argv[1], LakeKeys("0123456789abcdef", b"k" * 32), clock=lambda: 1)
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(vault.tokens("acme", json.loads(line))), flush=True)
"""
MAKE_FOR_EVER = """
import sys
from warehouse.keys import LakeKeys
from warehouse.subjects import SubjectVault
vault = SubjectVault.open(sys.argv[1], LakeKeys("0123456789abcdef", b"k" * 32), clock=lambda: 1)
print("ready", flush=True)
for call in range(10**9):
    vault.tokens("acme", [f"rawvalue-{sys.argv[2]}-{call}-{number}" for number in range(300)])
"""


@pytest.fixture
def open_vault(control_url):
    """Opens vaults on one database; all are closed at the end."""
    opened = []

    def open_one(**options):
        opened.append(SubjectVault.open(control_url, KEYS, clock=lambda: 1, **options))
        return opened[-1]

    yield open_one
    for vault in opened:
        vault.close()


def start(program, *arguments):
    """Start a process of our own and wait until it has opened its vault."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_that_meet_the_same_values_agree(control_url, open_vault):
    """Processes that open at once, and then see the same new values in different orders, give the same tokens."""
    import json

    with ThreadPoolExecutor(3) as pool:
        processes = list(pool.map(lambda _: start(MAKE_TOKENS, control_url), range(3)))
    values = [f"person-{number}" for number in range(400)]
    orders = [values, values[::-1], values[1::2] + values[::2]]
    for process, order in zip(processes, orders, strict=True):
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    answers = [
        dict(zip(order, json.loads(p.stdout.readline()), strict=True))
        for p, order in zip(processes, orders, strict=True)
    ]
    for process in processes:
        process.stdin.close()
        assert process.wait(timeout=120) == 0
        process.stdout.close()
    assert answers[0] == answers[1] == answers[2]
    assert open_vault().tokens("acme", values) == [answers[0][value] for value in values]


def test_threads_that_meet_the_same_values_agree(open_vault):
    """Threads of one vault, which also destroy meanwhile, get one token a value and never an error."""
    vault = open_vault()
    barrier = threading.Barrier(6)
    values = [f"person-{number}" for number in range(120)]

    def work(number):
        barrier.wait(timeout=120)
        mine = values[number * 20 :] + values[: number * 20]
        tokens = dict(zip(mine, vault.tokens("acme", mine), strict=True))
        for place in range(3):
            (token,) = vault.tokens("acme", [f"own-{number}-{place}"])
            assert vault.destroy("acme", token) is not None
        return tokens

    with ThreadPoolExecutor(6) as pool:
        first, *others = pool.map(work, range(6))
    assert all(other == first for other in others)
    assert vault.known("acme", first.values()) == set(first.values())


def test_destroying_on_either_database(open_vault):
    """Key and lookup are gone for every vault on the database, and the value's next token is new."""
    mine, other = open_vault(), open_vault(monotonic=iter(range(0, 10_000, 2)).__next__)
    (token,) = other.tokens("acme", ["ada"])
    assert mine.destroy("acme", token).token == token
    assert mine.destroy("acme", token) is None
    assert mine.find("acme", "ada") is None
    mine.scrub()
    (second,) = other.tokens("acme", ["ada"])
    assert second != token
    assert mine.tokens("acme", ["ada"]) == [second]
    assert mine.reveal("acme", second) == "ada"


def test_vault_and_control_data_may_share_a_database(control_url):
    """Both keep their own tables and their own count of revisions, whichever is made first."""
    with ControlStore.open(control_url, clock=lambda: 1) as store:
        store.add_tenant("acme")
        with SubjectVault.open(control_url, KEYS, clock=lambda: 1) as vault:
            (token,) = vault.tokens("acme", ["ada"])
    with (
        SubjectVault.open(control_url, KEYS, clock=lambda: 1, create=False) as vault,
        ControlStore.open(control_url, clock=lambda: 1, create=False) as store,
    ):
        assert vault.reveal("acme", token) == "ada"
        assert [tenant.id for tenant in store.list_tenants()] == ["acme"]


def wait_for(file):
    """Wait until a file is there, looking without a pause: it is there for a moment only."""
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        pass


def test_a_kill_leaves_no_value_on_the_disk(tmp_path):
    """Killed in the middle of its transactions, again and again, a process leaves no value in the file or its journal."""
    file = tmp_path / "subjects.db"
    url = f"sqlite:///{file}"
    with SubjectVault.open(url, KEYS, clock=lambda: 1) as vault:
        (token,) = vault.tokens("acme", ["ada"])
    attempt = journals = 0
    while attempt < 8 or not journals:
        assert attempt < 60, "no kill fell into a transaction: the test shows nothing about journals"
        process = start(MAKE_FOR_EVER, url, str(attempt))
        if attempt < 8:
            time.sleep(0.05 + 0.11 * attempt)
        else:  # none of them fell into a transaction: this one shall
            wait_for(file.with_name("subjects.db-journal"))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=120)
        process.stdin.close()
        process.stdout.close()
        left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        journals += "subjects.db-journal" in left
        assert not [name for name, content in left.items() if b"rawvalue" in content]
        with SubjectVault.open(url, KEYS, clock=lambda: 1) as vault:
            assert vault.reveal("acme", token) == "ada"
            made = vault.known("acme", vault.tokens("acme", [f"rawvalue-{attempt}-0-{n}" for n in range(300)]))
            assert len(made) == 300
        attempt += 1


def test_a_server_that_went_away_comes_back(postgres_server, postgres_database_url):
    """Without its server the vault is unavailable at once, remembered tokens are believed for 5 s, and no restart is needed."""
    seconds = [1000.0]
    with SubjectVault.open(postgres_database_url, KEYS, clock=lambda: 1, monotonic=lambda: seconds[0]) as vault:
        (token,) = vault.tokens("acme", ["ada"])
        postgres_server.stop()
        try:
            seconds[0] += 4
            assert vault.tokens("acme", ["ada"]) == [token]
            with pytest.raises(VaultUnavailableError) as unavailable:
                vault.tokens("acme", ["bob"])
            seconds[0] += 2
            with pytest.raises(VaultUnavailableError):
                vault.tokens("acme", ["ada"])
        finally:
            postgres_server.start()
        assert postgres_server.password not in str(unavailable.value)
        seconds[0] += 2
        assert vault.tokens("acme", ["ada", "bob"])[0] == token


def test_a_password_among_the_options_is_shown_in_no_message(postgres_server):
    """Libpq takes a password as an option of the URL too."""
    url = f"postgresql://muniment@127.0.0.1:{postgres_server.port}/nowhere?password={postgres_server.password}"
    with pytest.raises(VaultUnavailableError) as unavailable:
        SubjectVault.open(url, KEYS, clock=lambda: 1)
    assert "nowhere" in str(unavailable.value)
    assert postgres_server.password not in str(unavailable.value)
