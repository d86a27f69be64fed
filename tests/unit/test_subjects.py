"""The vault of subjects: tokens are stable, kept apart, revealed only whole, and gone for good once destroyed."""

import random
import sqlite3
import stat

import pytest
from sqlalchemy import inspect

from warehouse.control.database import parse_url
from warehouse.errors import CorruptionError, NotFoundError, SettingsError, VaultUnavailableError
from warehouse.keys import LakeKeys, read_keys
from warehouse.subjects import SubjectVault, is_token, normal_form, open_lake_vault
from warehouse.subjects.cache import LONGEST_VALUE, TokenCache
from warehouse.subjects.tokens import token_of

NOW = 1_764_000_000_000_000_000
# printf ada@example.org | openssl dgst -sha256 -mac HMAC -macopt hexkey:<64 zeros> -binary | head -c 16 | base32
EXPECTED_TOKEN = "sub_vrngydrr3ln74lrifoxdwt26nq"
KEYS = LakeKeys("0123456789abcdef", b"s" * 32)


class Ticks:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def file(tmp_path):
    """Where the vault lies."""
    return tmp_path / "subjects.db"


@pytest.fixture
def open_vault(file):
    """Opens vaults on `file`; all are closed at the end."""
    opened = []

    def open_one(keys=KEYS, **options):
        opened.append(SubjectVault.open(file, keys, clock=lambda: NOW, **options))
        return opened[-1]

    yield open_one
    for vault in opened:
        vault.close()


def counting(vault):
    """Count the transactions that a vault opens from now on."""
    opened = []
    for name in ("read", "write"):
        method = getattr(vault._database, name)
        setattr(vault._database, name, lambda method=method, name=name: opened.append(name) or method())
    return opened


def test_a_token_is_the_first_half_of_an_hmac_in_base32():
    """The form is that of the documents; the expected text was computed with openssl and base32."""
    assert token_of(bytes(32), "ada@example.org") == EXPECTED_TOKEN
    assert is_token(EXPECTED_TOKEN)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("  ada ", "ada"),
        ("Ada@Example.ORG", "ada@example.org"),
        (" Ada@Example.org\n", "ada@example.org"),
        ("Ada", "Ada"),
        ("Ada Lovelace <Ada@Example.org>", "Ada Lovelace <Ada@Example.org>"),
        ("a@b@C", "a@b@C"),
        ("Rene\u0301", "Ren\u00e9"),
        ("", ""),
    ],
)
def test_spellings_of_one_person_have_one_form(given, form):
    """Blanks, composition and the case of an e-mail address do not make another person; the case of a name does."""
    assert normal_form(given) == form


@pytest.mark.parametrize(
    "text", ["", "sub_", "sub_" + "a" * 25, "sub_" + "a" * 27, "sub_" + "A" * 26, "sub_" + "a" * 25 + "b", "x" * 30]
)
def test_other_texts_have_no_tokens_form(text):
    """Only 26 base32 digits that carry exactly 128 bits are a token."""
    assert not is_token(text)


def test_tokens_come_in_the_order_of_the_values(open_vault):
    """One token a value, equal for equal values, also where known and new ones stand mixed."""
    vault = open_vault()
    (ada,) = vault.tokens("acme", ["ada"])
    bob, again, third, twice = vault.tokens("acme", ["bob", "ada", "cyd", "bob"])
    assert again == ada
    assert twice == bob
    assert len({ada, bob, third}) == 3
    assert vault.tokens("acme", []) == []


def test_more_new_values_than_one_statement_takes(open_vault):
    """Thousands of new values in one call have a token each, and a second vault finds the same."""
    values = [f"person-{number}" for number in range(2_300)]
    tokens = open_vault().tokens("acme", values)
    assert len(set(tokens)) == len(values)
    assert open_vault().tokens("acme", values) == tokens


def test_a_known_value_costs_no_query(open_vault):
    """Values that were seen lately are answered from memory, in any spelling that was seen."""
    ticks = Ticks()
    vault = open_vault(monotonic=ticks)
    first = vault.tokens("acme", ["ada@example.org", "Ada@Example.org"])
    opened = counting(vault)
    assert vault.tokens("acme", ["Ada@Example.org", "ada@example.org"]) == first
    assert opened == []
    assert first[0] == first[1]


def test_another_tenant_knows_nothing(open_vault):
    """Tokens differ between tenants, and none can be revealed, found or recognised through another one."""
    vault = open_vault()
    (ours,), (theirs,) = vault.tokens("acme", ["ada"]), vault.tokens("globex", ["ada"])
    assert ours != theirs
    vault.tokens("acme", ["bob"])
    assert vault.find("globex", "bob") is None
    assert vault.known("globex", [ours, theirs]) == {theirs}
    with pytest.raises(NotFoundError, match="expected a token of tenant globex"):
        vault.reveal("globex", ours)
    assert vault.destroy("globex", ours) is None
    assert vault.reveal("acme", ours) == "ada"


def test_reveal_returns_the_normal_form(open_vault):
    """What is revealed is the value as it is known, whatever it holds."""
    vault = open_vault()
    for value, form in [(" Ada@Example.org", "ada@example.org"), ("名前", "名前"), ("", ""), ("\ud800", "\ud800")]:
        (token,) = vault.tokens("acme", [value])
        assert vault.reveal("acme", token) == form
        assert vault.find("acme", form) == token


def test_find_makes_no_token(open_vault, file):
    """Asking for a value that the tenant never saw leaves no row."""
    assert open_vault().find("acme", "nobody") is None
    assert sqlite3.connect(file).execute("select count(*) from subjects").fetchone() == (0,)


@pytest.mark.parametrize("column", ["sealed", "key"])
def test_an_altered_row_is_refused(open_vault, file, column):
    """A sealed value or key that was altered by one bit does not open."""
    vault = open_vault()
    (token,) = vault.tokens("acme", ["ada"])
    with sqlite3.connect(file) as connection:
        (content,) = connection.execute(f"select {column} from subjects").fetchone()
        altered = content[:-1] + bytes([content[-1] ^ 1])
        connection.execute(f"update subjects set {column} = ?", [altered])
    with pytest.raises(CorruptionError, match="does not open"):
        vault.reveal("acme", token)


def test_a_row_moved_to_another_token_is_refused(open_vault, file):
    """The seal is bound to token and tenant: rows exchanged by whoever can write the file do not open."""
    vault = open_vault()
    ada, _ = vault.tokens("acme", ["ada", "bob"])
    with sqlite3.connect(file) as connection:
        connection.execute("update subjects set token = 'x' where token = ?", [ada])
        connection.execute("update subjects set token = ? where token <> 'x'", [ada])
    with pytest.raises(CorruptionError):
        vault.reveal("acme", ada)


def test_a_copy_of_the_vault_without_the_lakes_secret_is_worth_nothing(open_vault, file):
    """With the file alone no value opens, and no guess of one is confirmed by lookup or token."""
    (token,) = open_vault().tokens("acme", ["ada"])
    thief = open_vault(LakeKeys(KEYS.lake_id, b"guess" * 6))
    with pytest.raises(CorruptionError):
        thief.reveal("acme", token)
    assert thief.find("acme", "ada") is None
    (material,) = sqlite3.connect(file).execute("select key from subjects").fetchone()
    assert token_of(material, "ada") != token


def test_a_destroyed_subject_comes_back_as_somebody_else(open_vault):
    """After destruction the token reveals nothing, the value is not found, and its next token is unrelated."""
    vault = open_vault()
    (token,) = vault.tokens("acme", ["ada"])
    known = vault.subject_key("acme", token)
    destroyed = vault.destroy("acme", token)
    assert (destroyed.token, destroyed.key_id, destroyed.created_unix_nano) == (token, known.key_id, NOW)
    assert (known.destroyed_unix_nano, destroyed.destroyed_unix_nano) == (None, NOW)
    assert vault.destroy("acme", token) is None
    assert vault.find("acme", "ada") is None
    assert vault.known("acme", [token]) == set()
    with pytest.raises(NotFoundError):
        vault.reveal("acme", token)
    (second,) = vault.tokens("acme", ["ada"])
    assert second != token
    assert vault.subject_key("acme", second).key_id != known.key_id


def with_many_subjects(open_vault, file):
    """A vault whose pages were split and joined by a hundred calls, and some of its rows, the same in each run."""
    vault = open_vault(random_bytes=random.Random(5).randbytes)
    for call in range(100):
        vault.tokens("acme", [f"person-{call}-{number}" for number in range(15)])
    return vault, sqlite3.connect(file).execute("select token, key, lookup, sealed from subjects").fetchall()[::25]


def traces(file, rows):
    """How many of these rows' secrets stand in the file."""
    content = file.read_bytes()
    return sum(secret in content for token, *secrets in rows for secret in (token.encode(), *secrets))


def test_no_byte_of_a_destroyed_key_stays_in_the_file(open_vault, file):
    """Keys, lookups, sealed values and tokens leave no copy in any page, though pages were split and joined meanwhile."""
    vault, rows = with_many_subjects(open_vault, file)
    assert traces(file, rows) == 4 * len(rows)
    for token, *_ in rows:
        vault.destroy("acme", token)
    assert traces(file, rows) == 0


def test_pages_do_keep_copies_without_writing_the_file_anew(open_vault, file, monkeypatch):
    """The search and the rewriting have something to do: without them traces stay."""
    monkeypatch.setattr("warehouse.subjects.vault.holds_any", lambda *_: False)
    vault, rows = with_many_subjects(open_vault, file)
    for token, *_ in rows:
        vault.destroy("acme", token)
    assert traces(file, rows) > 0
    vault.scrub()
    assert traces(file, rows) == 0


def test_another_process_forgets_within_its_check(open_vault):
    """A second vault, as another process has it, serves a destroyed token for at most the time between two checks."""
    ticks = Ticks()
    mine, other = open_vault(), open_vault(monotonic=ticks)
    (token,) = other.tokens("acme", ["ada"])
    mine.destroy("acme", token)
    ticks.seconds += 0.9
    assert other.tokens("acme", ["ada"]) == [token]
    ticks.seconds += 0.2
    (second,) = other.tokens("acme", ["ada"])
    assert second != token
    assert mine.tokens("acme", ["ada"]) == [second]


def test_tokens_read_before_a_destruction_are_not_remembered_after_it():
    """A cache that has moved on takes nothing in that was read under the generation before."""
    cache = TokenCache(10)
    cache.advance(1)
    cache.fill(1, "acme", {"ada": "t1"})
    cache.advance(2)
    cache.fill(1, "acme", {"ada": "t1"})
    assert cache.look("acme", ["ada"]) == [None]
    cache.fill(2, "acme", {"ada": "t2"})
    cache.advance(2)
    assert cache.look("acme", ["ada"]) == ["t2"]


def test_the_cache_is_bounded():
    """The least recently used go first, and a value too long to be remembered is not."""
    cache = TokenCache(2)
    cache.advance(0)
    cache.fill(0, "acme", {"a": "ta", "b": "tb"})
    cache.look("acme", ["a"])
    cache.fill(0, "acme", {"c": "tc", "x" * (LONGEST_VALUE + 1): "tx"})
    assert cache.look("acme", ["a", "b", "c", "x" * (LONGEST_VALUE + 1)]) == ["ta", None, "tc", None]


def test_a_vault_that_is_gone_is_unavailable_and_then_works_again(open_vault, file):
    """Remembered tokens are believed for five seconds; then, and for new values at once, the vault is unavailable."""
    ticks = Ticks()
    vault = open_vault(monotonic=ticks)
    (token,) = vault.tokens("acme", ["ada"])
    away = file.rename(file.with_name("away"))
    with pytest.raises(VaultUnavailableError):
        vault.tokens("acme", ["ada", "bob"])
    ticks.seconds += 4
    assert vault.tokens("acme", ["ada"]) == [token]
    ticks.seconds += 2
    with pytest.raises(VaultUnavailableError, match="does not answer"):
        vault.tokens("acme", ["ada"])
    away.rename(file)
    ticks.seconds += 2
    assert vault.tokens("acme", ["ada"]) == [token]
    assert vault.known("acme", [token]) == {token}


def test_after_a_failure_the_next_batches_do_not_wait(open_vault, file):
    """For a moment after a failure the vault is not asked again; nothing is made of it that could take long."""
    ticks = Ticks()
    vault = open_vault(monotonic=ticks)
    away = file.rename(file.with_name("away"))
    with pytest.raises(VaultUnavailableError):
        vault.tokens("acme", ["ada"])
    opened = counting(vault)
    with pytest.raises(VaultUnavailableError):
        vault.tokens("acme", ["ada"])
    assert opened == []
    away.rename(file)
    ticks.seconds += 1.1
    assert len(vault.tokens("acme", ["ada"])) == 1


def test_the_file_is_private_and_its_journal_rolls_back(open_vault, file):
    """Mode 0600, a rollback journal, deleted cells overwritten, and commits that survive a power cut."""
    vault = open_vault()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with vault._database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"pragma {name}").scalar_one()
            for name in ("journal_mode", "secure_delete", "synchronous")
        }
    assert found == {"journal_mode": "delete", "secure_delete": 1, "synchronous": 3}


def test_the_vault_of_another_lake_is_refused(open_vault):
    """A vault belongs to one lake: under another's secret its keys would open nothing, and new ones would mix."""
    open_vault()
    with pytest.raises(SettingsError, match="expected that of lake"):
        open_vault(LakeKeys("feedfeedfeedfeed", b"s" * 32))


def test_a_lake_older_than_vaults_gets_one_and_a_lost_one_is_not_replaced(lake):
    """The vault is made at first use; when it is gone later that is an error, not a new vault."""
    keys = read_keys(lake)
    open_lake_vault(lake, lake.vault_file, keys, clock=lambda: NOW).close()
    open_lake_vault(lake, lake.vault_file, keys, clock=lambda: NOW).close()
    lake.vault_file.unlink()
    with pytest.raises(VaultUnavailableError, match="found none") as gone:
        open_lake_vault(lake, lake.vault_file, keys, clock=lambda: NOW)
    assert "backup of the keys" in gone.value.hint
    assert not lake.vault_file.exists()
    (lake.keys / "subjects.made").unlink()
    open_lake_vault(lake, lake.vault_file, keys, clock=lambda: NOW).close()
    assert lake.vault_file.exists()


@pytest.mark.parametrize("where", ["mysql://u:hunter2@h/d", "sqlite:///:memory:", "no url hunter2"])
def test_a_vault_url_that_cannot_be_used(where):
    """The message names the vault and no password."""
    with pytest.raises(SettingsError, match="vault URL: expected") as refused:
        parse_url(where, "vault")
    assert "hunter2" not in str(refused.value)


def test_the_tables_are_the_migrations(open_vault):
    """What the migrations make and what the code uses are the same."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from warehouse.subjects.schema import METADATA

    with open_vault()._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "vault_version"})
        assert compare_metadata(context, METADATA) == []
        assert set(inspect(connection).get_table_names()) == {"subjects", "vault_state", "vault_version"}
