"""The control store on a SQLite file and on a real PostgreSQL server: the same rules on both."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from warehouse.control import ControlStore, KeyState
from warehouse.errors import (
    ConflictError,
    InputError,
    MunimentError,
    NameRuleError,
    NotFoundError,
    UnauthenticatedError,
)

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


class Now:
    """A clock that stands where a test puts it."""

    def __init__(self, unix_nano=START):
        self.unix_nano = unix_nano

    def __call__(self):
        """The instant that was set."""
        return self.unix_nano


@pytest.fixture
def now():
    """The clock of the store under test."""
    return Now()


@pytest.fixture
def store(control_url, now):
    """An open store with one tenant, acme."""
    with ControlStore.open(control_url, clock=now) as opened:
        opened.add_tenant("acme", "Acme Ltd")
        yield opened


class RefusedError(Exception):
    """What an announcement raises that cannot be recorded."""


def refuse(*_change):
    """An announcement that fails."""
    raise RefusedError


def test_tenants_are_listed_by_id_with_their_names(store, now):
    """A tenant is found by its id, and all are listed in order of ids."""
    now.unix_nano += 5
    store.add_tenant("0-first")
    listed = [(tenant.id, tenant.name, tenant.created_unix_nano) for tenant in store.list_tenants()]
    assert listed == [("0-first", "0-first", START + 5), ("acme", "Acme Ltd", START)]
    assert store.tenant("acme").name == "Acme Ltd"


@pytest.mark.parametrize(
    ("tenant_id", "name", "expected"),
    [
        ("acme", "again", ConflictError),
        ("Acme", "capital", NameRuleError),
        ("_lake", "reserved", NameRuleError),
        ("", "empty", NameRuleError),
        ("a" * 41, "long", NameRuleError),
        ("acme\n", "line feed", NameRuleError),
        ("fine", "", InputError),
        ("fine", "two\nlines", InputError),
        ("fine", "x" * 201, InputError),
    ],
)
def test_bad_tenant_is_refused(store, tenant_id, name, expected):
    """A tenant whose id or name breaks a rule, or that exists, is refused and nothing is stored."""
    with pytest.raises(expected):
        store.add_tenant(tenant_id, name)
    assert [tenant.id for tenant in store.list_tenants()] == ["acme"]


def test_issued_key_authenticates_with_its_scope(store):
    """A key's text gives back its tenant, agent and event patterns, exactly as issued."""
    issued = store.issue_key(
        "acme", agent="buyer «7»", events=["approval.*", "tool.changed"], expires_unix_nano=START + 9, label="ci"
    )
    key = store.authenticate(issued.secret_text)
    assert (key.key_id, key.tenant_id, key.agent, key.event_patterns, key.expires_unix_nano, key.label) == (
        issued.id, "acme", "buyer «7»", ("approval.*", "tool.changed"), START + 9, "ci",
    )  # fmt: skip
    assert key.recorded_by == f"key:{issued.id}"
    assert key.principal().tenants == {"acme"}
    assert store.list_keys("acme") == store.list_keys() == [key] == [store.key(issued.id)]


def test_unscoped_key_has_no_scope(store):
    """A key issued without scope has None for agent and patterns, which is not the same as an empty list."""
    key = store.authenticate(store.issue_key("acme").secret_text)
    assert (key.agent, key.event_patterns, key.expires_unix_nano, key.label) == (None, None, None, None)


@pytest.mark.parametrize(
    ("tenant", "options", "expected"),
    [
        ("nobody", {}, NotFoundError),
        ("_lake", {}, NotFoundError),
        ("acme", {"events": []}, InputError),
        ("acme", {"events": ["approval.*", ""]}, InputError),
        ("acme", {"events": ["Approval.*"]}, InputError),
        ("acme", {"events": ["a b"]}, InputError),
        ("acme", {"agent": ""}, InputError),
        ("acme", {"label": "tab\there"}, InputError),
        ("acme", {"expires_unix_nano": START}, InputError),
        ("acme", {"expires_unix_nano": START - 1}, InputError),
    ],
)
def test_bad_key_is_not_issued(store, tenant, options, expected):
    """A key for nobody, with an unusable scope or an expiry that has passed is refused and nothing is stored."""
    with pytest.raises(expected):
        store.issue_key(tenant, **options)
    assert store.list_keys() == []


def test_unknown_wrong_and_malformed_keys_are_refused(store):
    """A key text that is not exactly an issued one is refused, without saying which part was wrong."""
    one, two = store.issue_key("acme"), store.issue_key("acme")
    prefix, own_id, secret = one.secret_text.split("_")
    other_secret = two.secret_text.split("_")[2]
    unknown = {
        "another key's secret": f"{prefix}_{own_id}_{other_secret}",
        "unknown id": f"{prefix}_k000000000000_{secret}",
    }
    malformed = {
        "empty": "",
        "upper case": one.secret_text.upper(),
        "cut": one.secret_text[:-1],
        "longer": one.secret_text + "a",
        "line feed": one.secret_text + "\n",
        "blank": " " + one.secret_text,
        "other prefix": "num" + one.secret_text[3:],
        "id alone": own_id,
        "not ASCII": f"{prefix}_{own_id}_{'é' * 52}",
        "NUL": "mun_\0",
    }
    messages = set()
    for text in unknown.values():
        with pytest.raises(UnauthenticatedError) as refused:
            store.authenticate(text)
        messages.add(str(refused.value))
    assert len(messages) == 1
    for name, text in malformed.items():
        with pytest.raises(UnauthenticatedError, match="wrong form") as refused:
            store.authenticate(text)
        assert secret not in str(refused.value), name


def test_unknown_id_costs_the_same_comparison(store, monkeypatch):
    """An unknown id leads to one hash and one constant-time comparison, exactly as a known one does."""
    issued = store.issue_key("acme")
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda one, two: compared.append((len(one), len(two))) or one == two)
    store.authenticate(issued.secret_text)
    with pytest.raises(UnauthenticatedError):
        store.authenticate(issued.secret_text.replace(issued.id, "k000000000000"))
    assert compared == [(32, 32)] * 2


def test_key_expires_at_its_instant(store, now):
    """A key works one nanosecond before its expiry and not at it."""
    issued = store.issue_key("acme", expires_unix_nano=START + 10)
    now.unix_nano = START + 9
    assert store.authenticate(issued.secret_text).key_id == issued.id
    now.unix_nano = START + 10
    with pytest.raises(UnauthenticatedError, match="expired"):
        store.authenticate(issued.secret_text)


def test_revoked_key_stops_at_once_and_only_it(store, now):
    """A revoked key does not work at the instant of its revocation; another key of the tenant does."""
    revoked, other = store.issue_key("acme"), store.issue_key("acme")
    now.unix_nano += 5
    assert store.revoke_key(revoked.id).revoked_unix_nano == START + 5
    with pytest.raises(UnauthenticatedError, match="revoked"):
        store.authenticate(revoked.secret_text)
    assert store.authenticate(other.secret_text).key_id == other.id
    with pytest.raises(ConflictError, match="revoked already"):
        store.revoke_key(revoked.id)
    with pytest.raises(NotFoundError):
        store.revoke_key("k000000000000")


def test_rotation_overlaps_up_to_its_instant(store, now):
    """Both keys work until the overlap ends, exactly at its end only the new one does, and its scope is the old one's."""
    old = store.issue_key("acme", agent="a", events=["tool.*"], expires_unix_nano=START + 1000 * SECOND, label="x")
    now.unix_nano = START + 100 * SECOND
    new = store.rotate_key(old.id, overlap_seconds=60)
    assert (new.tenant, new.id != old.id) == ("acme", True)
    now.unix_nano += 60 * SECOND - 1
    assert store.authenticate(old.secret_text).state_at(now()) is KeyState.ROTATING
    renewed = store.authenticate(new.secret_text)
    assert (renewed.agent, renewed.event_patterns, renewed.label) == ("a", ("tool.*",), "x")
    assert renewed.expires_unix_nano == START + 1100 * SECOND
    now.unix_nano += 1
    with pytest.raises(UnauthenticatedError, match="rotated"):
        store.authenticate(old.secret_text)
    assert store.authenticate(new.secret_text).key_id == new.id
    assert store.key(old.id).rotated_to == new.id


def test_overlap_lengthens_no_life(store, now):
    """An overlap beyond the old key's expiry does not postpone the expiry, and one of nothing ends the old key at once."""
    short = store.issue_key("acme", expires_unix_nano=START + 10)
    store.rotate_key(short.id, overlap_seconds=3600)
    now.unix_nano = START + 10
    with pytest.raises(UnauthenticatedError, match="expired"):
        store.authenticate(short.secret_text)
    plain = store.issue_key("acme")
    store.rotate_key(plain.id, overlap_seconds=0)
    with pytest.raises(UnauthenticatedError, match="rotated"):
        store.authenticate(plain.secret_text)


def test_only_an_active_key_is_rotated(store, now):
    """Keys that are rotated, revoked, expired or unknown are not rotated, nor is an overlap negative."""
    rotated, revoked, expired = (store.issue_key("acme", expires_unix_nano=START + 10) for _ in range(3))
    fresh = store.issue_key("acme")
    store.rotate_key(rotated.id, 5)
    store.revoke_key(revoked.id)
    now.unix_nano = START + 10
    count = len(store.list_keys())
    cases = [
        (rotated.id, 5, ConflictError, "rotated already"),
        (revoked.id, 5, ConflictError, "revoked"),
        (expired.id, 5, ConflictError, "expired"),
        ("k000000000000", 5, NotFoundError, "k000000000000"),
        (fresh.id, -1, InputError, "-1"),
    ]
    for key_id, overlap, expected, message in cases:
        with pytest.raises(expected, match=message):
            store.rotate_key(key_id, overlap)
    assert len(store.list_keys()) == count


def test_pasted_key_is_not_repeated_in_a_message(store):
    """Where somebody gives a whole key instead of its id, the message does not repeat its secret."""
    text = store.issue_key("acme").secret_text
    with pytest.raises(NotFoundError) as refused:
        store.revoke_key(text)
    assert text[20:] not in str(refused.value)


def test_closed_tenant_has_no_working_keys(store):
    """A closed tenant's keys are refused and none is issued or rotated; other tenants' keys work."""
    issued = store.issue_key("acme")
    store.add_tenant("globex")
    other = store.issue_key("globex")
    store.close_tenant("acme")
    with pytest.raises(UnauthenticatedError, match="closed"):
        store.authenticate(issued.secret_text)
    for refused in (
        lambda: store.issue_key("acme"), lambda: store.rotate_key(issued.id, 5), lambda: store.close_tenant("acme"),
    ):  # fmt: skip
        with pytest.raises(ConflictError, match="closed"):
            refused()
    assert store.authenticate(other.secret_text).tenant_id == "globex"


def test_change_that_cannot_be_announced_is_not_made(store):
    """Where the announcement fails, nothing of the change is in the database."""
    issued = store.issue_key("acme")
    before = store.list_tenants(), store.list_keys()
    for change in (
        lambda: store.add_tenant("new", announce=refuse),
        lambda: store.close_tenant("acme", announce=refuse),
        lambda: store.issue_key("acme", announce=refuse),
        lambda: store.rotate_key(issued.id, 5, announce=refuse),
        lambda: store.revoke_key(issued.id, announce=refuse),
    ):
        with pytest.raises(RefusedError):
            change()
    assert (store.list_tenants(), store.list_keys()) == before


def test_change_may_use_the_store_while_it_is_announced(store):
    """An announcement may write to the same store: no transaction is held meanwhile."""
    claimed = []
    store.issue_key("acme", announce=lambda _key: claimed.append(store.claim_shard("self", host="here", pid=1)))
    assert [shard.identity for shard in store.list_shards()] == claimed


def test_change_that_came_in_between_is_a_conflict(store):
    """What was checked before the announcement is checked again by the write."""
    issued = store.issue_key("acme")
    with pytest.raises(ConflictError):
        store.rotate_key(issued.id, 5, announce=lambda _old, _new: store.revoke_key(issued.id))
    with pytest.raises(ConflictError):
        store.add_tenant("late", announce=lambda _tenant: store.add_tenant("late"))
    assert [key.key_id for key in store.list_keys()] == [issued.id]


def test_shard_is_claimed_held_and_closed(store, now):
    """A shard's identity is its name and 8 hex digits; a closed one stays in the register and is not held again."""
    identity = store.claim_shard("main", host="alpha", pid=11)
    name, _, suffix = identity.rpartition("-")
    assert (name, len(suffix), int(suffix, 16) >= 0) == ("main", 8, True)
    held = store.hold_shard(identity, host="beta", pid=12)
    assert (held.owner_host, held.owner_pid, held.closed_unix_nano) == ("beta", 12, None)
    now.unix_nano += 7
    closed = store.close_shard(identity, "journal folder lost")
    assert store.shard(identity) == closed
    assert (closed.closed_unix_nano, closed.closed_reason) == (START + 7, "journal folder lost")
    with pytest.raises(ConflictError, match="journal folder lost"):
        store.hold_shard(identity, host="beta", pid=12)
    with pytest.raises(ConflictError, match="is closed"):
        store.close_shard(identity, "again")
    with pytest.raises(NotFoundError, match="main-00000000"):
        store.hold_shard("main-00000000", host="beta", pid=12)
    with pytest.raises(NameRuleError):
        store.claim_shard("Main", host="alpha", pid=1)
    other = store.claim_shard("other", host="alpha", pid=1)
    assert [shard.identity for shard in store.list_shards("other")] == [other]


def test_identity_that_was_given_out_is_not_given_again(control_url, now):
    """A claim that draws a used identity draws again, also when the used one is closed."""
    drawn = iter([b"\1\1\1\1", b"\1\1\1\1", b"\2\2\2\2"])

    def random_bytes(size):
        return next(drawn) if size == 4 else b"\0" * size

    with ControlStore.open(control_url, clock=now, random_bytes=random_bytes) as store:
        first = store.claim_shard("main", host="h", pid=1)
        store.close_shard(first, "test")
        assert (first, store.claim_shard("main", host="h", pid=1)) == ("main-01010101", "main-02020202")


def test_concurrent_changes_all_happen_once(control_url, now):
    """Of simultaneous claims each gets its own identity, and of simultaneous rotations of one key one succeeds."""
    workers = 6
    barrier = threading.Barrier(workers)
    stores = [ControlStore.open(control_url, clock=now) for _ in range(workers)]
    stores[0].add_tenant("acme")
    issued = stores[0].issue_key("acme")

    def work(store):
        barrier.wait(timeout=120)
        claimed = [store.claim_shard("main", host="h", pid=1) for _ in range(5)]
        try:
            return claimed, store.rotate_key(issued.id, 60)
        except MunimentError as exc:
            return claimed, exc

    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(work, stores))
    identities = [identity for claimed, _ in results for identity in claimed]
    assert len(set(identities)) == len(identities) == workers * 5
    assert len(stores[0].list_shards("main")) == workers * 5
    refused = [outcome for _, outcome in results if isinstance(outcome, Exception)]
    assert [type(exc) for exc in refused] == [ConflictError] * (workers - 1)
    assert len(stores[0].list_keys()) == 2
    for store in stores:
        store.close()
