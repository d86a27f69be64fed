"""Bad input on every command: the message says what was got, what was expected or what to do, and the exit code is right.

Exit codes: 0 done, 1 the answer is no, 2 usage or bad input, 3 the lake is unavailable.
"""

import contextlib
import json
import os
import pwd
import shutil
import socket
from pathlib import Path

import pytest

from muniment.cli.app import run
from tests.template import init_lake

NO, USAGE, UNAVAILABLE = 1, 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with one tenant, made once; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("errors")
    return init_lake(folder / "lake", "acme")


@pytest.fixture
def lake(made, tmp_path):
    """A copy of the lake, of this test's own."""
    return Path(shutil.copytree(made, tmp_path / "lake"))


@pytest.fixture
def ended(capfd):
    """Runs a command in this process; returns its exit code and what it wrote on standard error, lines joined."""

    def run_command(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, " ".join(capfd.readouterr().err.split())

    return run_command


BAD_INPUT = [
    # name, arguments, exit code, texts of the message
    ("unknown command", ["verify-all"], USAGE, ["No such command 'verify-all'", "muniment -h"]),
    ("unknown option", ["status", "--bogus"], USAGE, ["No such option: --bogus"]),
    ("missing argument", ["trace"], USAGE, ["Missing argument 'ID'"]),
    ("missing option", ["import", "{file}"], USAGE, ["Missing option '--tenant'"]),
    ("lake name outside the rule", ["init", "--name", "A B"], USAGE, ["expected [a-z0-9]", "got 'A B'"]),
    ("tenant outside the rule", ["tenant", "add", "Acme!"], USAGE, ["expected [a-z0-9]", "got 'Acme!'"]),
    ("reserved tenant", ["tenant", "add", "_lake"], USAGE, ["expected [a-z0-9]", "got '_lake'"]),
    ("tenant there already", ["tenant", "add", "acme"], NO, ["acme exists already", "muniment tenant list"]),
    ("key without tenant", ["key", "issue"], USAGE, ["expected one, got none", "muniment key issue TENANT"]),
    ("key for unknown tenant", ["key", "issue", "nobody"], USAGE, ["got 'nobody'", "muniment tenant list"]),
    ("key for two tenants", ["key", "issue", "acme", "--tenant", "b"], USAGE, ["expected one, got 'acme' and --tenant 'b'"]),
    ("key for no duration", ["key", "issue", "acme", "--expires", "soon"], USAGE, ["such as 45s", "got 'soon'"]),
    ("key with bad scope", ["key", "issue", "acme", "--events", "x y"], USAGE, ["such as approval.*", "got 'x y'"]),
    ("keys of unknown tenant", ["key", "list", "nobody"], USAGE, ["got 'nobody'", "muniment tenant add nobody"]),
    ("rotate unknown key", ["key", "rotate", "kzzz"], USAGE, ["got kzzz", "muniment key list"]),
    ("revoke unknown key", ["key", "revoke", "kzzz"], USAGE, ["got kzzz", "muniment key list"]),
    ("no SQL", ["sql"], USAGE, ["expected SQL as the argument or --file, got neither"]),
    ("no SELECT", ["sql", "drop table spans"], USAGE, ["expected a statement of type SELECT, got DROP"]),
    ("not SQL", ["sql", "selec 1"], USAGE, ["not SQL", "muniment sql --help"]),
    ("unknown table", ["sql", "select * from nope"], USAGE, ["table nope", "audit_events, contents", "spans"]),
    ("unknown column", ["sql", "select nope from spans"], USAGE, ['"nope" not found']),
    ("SQL of unknown tenant", ["sql", "select 1", "--tenant", "nobody"], USAGE, ["nobody", "muniment tenant list"]),
    ("SQL in unknown format", ["sql", "select 1", "--format", "xml"], USAGE, ["--format", "'parquet'"]),
    ("SQL file missing", ["sql", "--file", "{missing}"], USAGE, ["missing.sql", "No such file"]),
    ("table into a file", ["sql", "select 1", "--out", "x.txt"], USAGE, ["expected --format json, csv or parquet"]),
    ("no trace id", ["trace", "zz"], USAGE, ["expected 32 hex digits or at least the first 8, got 'zz'"]),
    ("unknown trace", ["trace", "4bf92f3577b34da6a3ce929d0e0e4736"], USAGE, ["no record of it in acme", "--tenant"]),
    ("import of nothing", ["import", "{missing}", "--tenant", "acme"], USAGE, ["missing.sql", "does not exist"]),
    ("import of a folder", ["import", "{folder}", "--tenant", "acme"], USAGE, ["is a directory"]),
    ("import of an empty file", ["import", "{empty}", "--tenant", "acme"], USAGE, ["expected OTLP JSON", "got an empty file"]),
    ("import of no OTLP", ["import", "{bytes}", "--tenant", "acme"], USAGE, ["other.bin", "expected OTLP as JSON", "begins with b'\\xcc", "not protobuf behind lengths", "a file of 200 bytes"]),
    ("import for unknown tenant", ["import", "{file}", "--tenant", "nobody"], USAGE, ["got 'nobody'", "muniment tenant add nobody"]),
    ("import of unknown signal", ["import", "{file}", "--tenant", "acme", "--signal", "spans"], USAGE, ["expected traces, logs or metrics, got 'spans'"]),
    ("shard outside the rule", ["collect", "--shard", "A B"], USAGE, ["shard name: expected [a-z0-9]", "got 'A B'"]),
    ("port that is none", ["collect", "--http-port", "99999"], USAGE, ["--http-port", "65535"]),
    ("network without TLS", ["collect", "--host", "0.0.0.0"], USAGE, ["expected TLS for host 0.0.0.0", "tls_cert_file"]),
    ("demo of three days", ["demo", "--days", "3"], USAGE, ["--days", "7"]),
    ("demo in a lake in use", ["demo"], NO, ["got a lake with tenants: acme", "--lake DIR"]),
    ("quarantine of unknown tenant", ["quarantine", "list", "--tenant", "nobody"], USAGE, ["got 'nobody'"]),
    ("replay for no such reason", ["quarantine", "replay", "--reason", "nonsense"], USAGE, ["got 'nonsense'", "quarantine is empty"]),
    ("maintenance of unknown tenant", ["maintenance", "run", "--tenant", "nobody"], USAGE, ["got 'nobody'", "muniment tenant list"]),
    ("maintenance status of unknown tenant", ["maintenance", "status", "--tenant", "nobody"], USAGE, ["got 'nobody'"]),
    ("unknown entry", ["quarantine", "show", "zzzz"], USAGE, ["'zzzz'", "muniment quarantine list"]),
    ("nothing to replay", ["quarantine", "replay"], USAGE, ["expected ids or --reason", "muniment quarantine list"]),
    ("maintenance of unknown table", ["maintenance", "run", "--table", "nope"], USAGE, ["spans", "got nope"]),
    ("doctor for unknown tenant", ["doctor", "--tenant", "nobody"], USAGE, ["got 'nobody'"]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "texts"), [pytest.param(*case[1:], id=case[0]) for case in BAD_INPUT])
def test_bad_input(made, tmp_path, ended, arguments, code, texts):
    """Bad input ends with the right exit code and a message that names it; no traceback, nothing changed."""
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "file.jsonl").write_text("{}\n")
    (tmp_path / "other.bin").write_bytes(b"\xcc" * 200)
    places = {
        "{missing}": tmp_path / "missing.sql", "{folder}": tmp_path, "{empty}": tmp_path / "empty.jsonl",
        "{file}": tmp_path / "file.jsonl", "{bytes}": tmp_path / "other.bin",
    }  # fmt: skip
    words = [str(places.get(word, word)) for word in arguments]
    where = [] if "No such command" in texts[0] else ["--lake", str(made)]
    got, message = ended(*words, *where)
    assert (got, [text for text in texts if text not in message]) == (code, []), message


EVERY_COMMAND = [
    ["collect"], ["up"], ["tenant", "add", "a"], ["tenant", "list"], ["key", "issue", "a"], ["key", "list"],
    ["key", "rotate", "k"], ["key", "revoke", "k"], ["import", __file__, "--tenant", "a"], ["sql", "select 1"],
    ["trace", "4bf92f35"], ["status"], ["doctor"], ["quarantine", "list"], ["quarantine", "show", "x"],
    ["quarantine", "replay", "x"], ["maintenance", "run"], ["maintenance", "status"], ["policy", "check"], ["policy", "diff"],
    ["policy", "apply"], ["policy", "show"], ["policy", "history"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_every_command_says_that_there_is_no_lake(tmp_path, ended, arguments):
    """Without a lake each command ends with 3, names the folder, and says how to make one."""
    code, message = ended(*arguments, "--lake", tmp_path / "none")
    assert code == UNAVAILABLE
    assert str(tmp_path / "none") in message
    assert "muniment init" in message


BAD_SETTINGS = [
    ("unknown section", "recievers: {}", USAGE, ["muniment.yaml", "recievers", "settings.md"]),
    ("unknown setting", "receivers: {port: 1}", USAGE, ["port", "$.receivers"]),
    ("not YAML", "lake: [", USAGE, ["muniment.yaml", "line 1"]),
    ("a list", "[1, 2]", USAGE, ["Expected `object`, got `array`"]),
    ("port out of range", "receivers: {http_port: 70000}", USAGE, ["65535", "$.receivers.http_port"]),
    ("wrong type", "telemetry: {otlp_interval_seconds: soon}", USAGE, ["`float`, got `str`"]),
    ("limit of nothing", "limits: {body_bytes: 0}", USAGE, ["$.limits.body_bytes"]),
    ("negative interval", "writer: {commit_interval_seconds: -1}", USAGE, ["$.writer.commit_interval_seconds"]),
    ("queue of nothing", "intake: {queue_bytes: 0}", USAGE, ["$.intake.queue_bytes"]),
    ("merging nothing", "maintenance: {merge_files: 0}", USAGE, ["expected at least 2, got 0"]),
    ("lake name", "lake: A B", USAGE, ["got 'A B'"]),
    ("unknown role", "users: {boss: [x]}", USAGE, ["expected auditor, compliance-officer, operator, sre, got boss"]),
    ("URL file missing", "control_url_file: nowhere", USAGE, ["control_url_file nowhere"]),
    ("both URLs", "control_url: a\ncontrol_url_file: b", USAGE, ["expected at most one"]),
    ("unknown database", "control_url: 'mysql://u:sekret@127.0.0.1/x'", USAGE, ["expected sqlite or postgresql, got mysql"]),
    ("database away", "control_url: 'postgresql://u:sekret@127.0.0.1:{port}/x'", UNAVAILABLE, ["does not answer"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "texts"), [pytest.param(*case[1:], id=case[0]) for case in BAD_SETTINGS])
def test_bad_settings(lake, ended, text, code, texts):
    """Settings that cannot be used are refused by every command, with the place; no message holds a password."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        (lake / "muniment.yaml").write_text(text.replace("{port}", str(unused.getsockname()[1])))
        got, message = ended("tenant", "list", "--lake", lake)
    assert (got, [part for part in texts if part not in message]) == (code, []), message
    assert "sekret" not in message


def test_settings_that_are_no_text(lake, ended):
    """Bytes that are not UTF-8 are an error with the file's name."""
    (lake / "muniment.yaml").write_bytes(b"\xff\xfe\x00")
    code, message = ended("status", "--lake", lake)
    assert (code, "muniment.yaml" in message) == (USAGE, True)


def test_missing_parts_of_a_lake(lake, ended):
    """A lost control database or secret is reported with what to do, and nothing makes a new one in silence."""
    (lake / "control.db").unlink()
    code, message = ended("tenant", "list", "--lake", lake)
    assert (code, "put it back" in message) == (UNAVAILABLE, True)
    assert not (lake / "control.db").exists()
    (lake / "keys" / "lake.json").unlink()
    code, message = ended("tenant", "list", "--lake", lake)
    assert (code, "restore the file" in message) == (UNAVAILABLE, True)


def test_price_list_that_is_none(lake, tmp_path, ended):
    """A price list that cannot be read stops the import, with its name."""
    (lake / "policies" / "prices" / "mine.yaml").write_text("prices: 3\n")
    (tmp_path / "file.jsonl").write_text("{}\n")
    code, message = ended("import", tmp_path / "file.jsonl", "--tenant", "acme", "--lake", lake)
    assert code == USAGE
    assert "mine.yaml: expected a mapping with one key, `prices`" in message


def test_init_where_it_cannot_be(tmp_path, ended):
    """A file in the way, or a folder that nobody can make, is an error with the path."""
    (tmp_path / "file").touch()
    code, message = ended("init", "--lake", tmp_path / "file")
    assert (code, str(tmp_path / "file") in message) == (UNAVAILABLE, True)


def test_errors_as_json(tmp_path, ended):
    """With --json an error is one JSON object with `error` and `hint`, on standard error."""
    code, message = ended("status", "--json", "--lake", tmp_path / "none")
    assert code == UNAVAILABLE
    assert set(json.loads(message)) == {"error", "hint"}


def test_doctor_says_what_to_do(lake, ended, capfd):
    """Where no receiver listens doctor ends with 1, names the step and what to do next."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        (lake / "muniment.yaml").write_text(f"receivers: {{http_port: {port}, grpc_port: {port}}}\n")
        capfd.readouterr()
        code = run(["doctor", "--tenant", "acme", "--lake", str(lake)])
    said = capfd.readouterr().out
    assert code == NO
    assert "FAIL receiver answers" in said
    assert "muniment up" in said


@contextlib.contextmanager
def acting_as(user):
    """Act with the rights of another user of this machine."""
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user: only root can act as one; run the tests as root")
@pytest.mark.parametrize("arguments", [["status"], ["sql", "select 1"], ["tenant", "list"]], ids=" ".join)
def test_a_user_who_may_not_read_the_lake(made, ended, arguments):
    """Somebody to whom the lake's files are closed gets an error with what to do, not a traceback."""
    ended(*arguments, "--lake", made)  # what the command imports may be closed to them as well
    with acting_as("nobody"):
        code, message = ended(*arguments, "--lake", made)
    assert code == UNAVAILABLE
    assert "Permission denied" in message
    assert "run it as the user who owns the lake" in message
