"""`muniment reveal` and `muniment subject find|shred`: allowed, recorded, then done; and what they never write down."""

import hashlib
import io
import json
import shutil
import stat
from pathlib import Path

import pytest

from governance.access import Access
from muniment import subjects
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from warehouse.ledger.errors import BadSignatureError, CertificateError, UnknownKeyError
from warehouse.ledger.key_destruction import KIND, open_destruction, sign_destruction
from warehouse.ledger.note import Ed25519Verifier, sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.principals import Principal, PrincipalKind

VALUE = "ada.lovelace@example.org"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with two tenants, made once."""
    return init_lake(tmp_path_factory.mktemp("subjects") / "lake", "acme", "globex")


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it, of this test's own."""
    return Path(shutil.copytree(made, tmp_path / "lake"))


@pytest.fixture
def context(folder):
    """The view that a command has of the lake."""
    return command_context(folder)


@pytest.fixture
def token(context):
    """The token of `VALUE` in the tenant acme."""
    return context.vault.tokens("acme", [VALUE])[0]


@pytest.fixture
def command(folder, capfd, monkeypatch):
    """Runs a command on the lake, with a text on standard input; returns exit code, output and messages."""

    def run_command(*arguments, given=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        capfd.readouterr()
        code = run([*arguments, "--lake", str(folder)])
        printed = capfd.readouterr()
        return code, printed.out, " ".join(printed.err.split())

    return run_command


@pytest.fixture
def events(folder, capfd):
    """Events of a name in the tenant's log, oldest first."""

    def read(name, tenant="acme"):
        capfd.readouterr()
        query = (
            "select actor_id, action, resource_type, resource_id, reason, outcome, policy_id, attributes "
            f"from audit_events where event_name = '{name}' order by log_index"
        )
        assert run(["sql", query, "--tenant", tenant, "--format", "json", "--lake", str(folder)]) == 0
        return json.loads(capfd.readouterr().out)

    return read


@pytest.fixture
def destroyed(context, token):
    """A function that destroys the token's key and returns certificate and nonce."""

    def destroy(**options):
        nonces = []
        done = subjects.shred_subject(
            context, tenant="acme", token=token, reason="request 12", announce_nonce=nonces.append, **options
        )
        return done, bytes.fromhex(nonces[0])

    return destroy


def files_with(folder, text):
    """Files of the lake in which a text stands, also in another case."""
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and text.lower().encode() in file.read_bytes().lower()
    ]


def verifiers(context):
    """Public keys of the lake's certificates."""
    return read_signing_keys(context.lake.keys).verifiers("lake/certificates")


def test_reveal_prints_the_value_and_records_why(command, events, token):
    """The value alone goes to standard output; who asked, for which token and why, stands in the tenant's log."""
    code, out, _ = command("reveal", token, "--tenant", "acme", "--reason", "ticket 4711")
    assert (code, out) == (0, f"{VALUE}\n")
    code, out, _ = command("reveal", token, "--tenant", "acme", "--reason", "again", "--json")
    assert (code, json.loads(out)) == (0, {"tenant": "acme", "token": token, "value": VALUE})
    found = [event for event in events("record.viewed") if event["resource_type"] == "subject"]
    assert [(event["action"], event["resource_id"], event["reason"], event["outcome"]) for event in found] == [
        ("reveal", token, "ticket 4711", "success"),
        ("reveal", token, "again", "success"),
    ]
    assert {event["policy_id"] for event in found} == {"operator-does-everything"}


def test_reveal_through_another_tenant_is_refused_and_recorded(command, events, token):
    """A tenant knows nothing of another's token, and that somebody tried is told by its log."""
    code, out, message = command("reveal", token, "--tenant", "globex", "--reason", "curious")
    assert (code, out) == (2, "")
    assert "expected a token of tenant globex" in message
    assert [event["outcome"] for event in events("record.viewed", "globex")] == ["failure"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["reveal", VALUE, "--tenant", "acme", "--reason", "x"], 2, "expected sub_ and 26 characters"),
        (["reveal", "{token}", "--tenant", "nobody", "--reason", "x"], 2, "got 'nobody'"),
        (["reveal", "{token}", "--tenant", "acme"], 2, "Missing option '--reason'"),
        (["reveal", "{token}", "--tenant", "acme", "--reason", " "], 2, "--reason: expected 1 to 200"),
        (["subject", "find", VALUE, "--tenant", "acme"], 2, "expected it on standard input"),
        (["subject", "find", "--tenant", "acme"], 2, "value: expected one, got nothing"),
        (["subject", "shred", "--tenant", "acme", "--reason", "x"], 2, "expected a token or --value"),
        (["subject", "shred", "{token}", "--value", "-", "--tenant", "acme", "--reason", "x"], 2, "one of the two"),
    ],
)
def test_bad_input_is_named_without_the_value(command, token, arguments, code, message):
    """The message says what was expected, and never repeats what may be somebody's name."""
    got, out, error = command(*(argument.replace("{token}", token) for argument in arguments))
    assert (got, out) == (code, "")
    assert message in error
    assert VALUE not in error


def test_find_prints_a_known_token_and_records_it_like_a_reading(command, events, token):
    """The value comes on standard input in any spelling; an unknown one is exit code 1, and neither is written down."""
    assert command("subject", "find", "--tenant", "acme", given=f" {VALUE.title()} \n")[:2] == (0, f"{token}\n")
    code, out, message = command("subject", "find", "-", "--tenant", "acme", given="somebody@example.org\n")
    assert (code, out) == (1, "")
    assert "no token of this value" in message
    code, out, _ = command("subject", "find", "--tenant", "globex", "--json", given=VALUE)
    assert (code, json.loads(out)) == (1, {"tenant": "globex", "token": None})
    found = [(event["action"], event["resource_id"], event["outcome"]) for event in events("record.viewed")]
    assert found == [("find", token, "success"), ("find", None, "failure")]


def test_shred_shows_first_and_destroys_with_yes(command, context, events, token, folder):
    """Without --yes nothing changes; with it the key goes, the nonce is printed, certificate and log say so."""
    shred = ("subject", "shred", "--value", "-", "--tenant", "acme", "--reason", "request 12")
    code, out, message = command(*shred, given=VALUE)
    assert (code, out) == (0, "")
    assert f"would destroy key {context.vault.subject_key('acme', token).key_id} behind {token}" in message
    assert not context.lake.certificates.exists()
    code, out, message = command(*shred, "--yes", given=VALUE)
    assert code == 0
    nonce = bytes.fromhex(out.strip())
    (file,) = context.lake.certificates.iterdir()
    (listed,) = json.loads(command("retention", "certificates", "--json")[1])
    assert (listed["sha256"], listed["kind"], listed["tenant"]) == (file.name, "key destroyed", "acme")
    document = open_destruction(file.read_bytes(), verifiers(context))
    assert document.subject_ref == hashlib.sha256(nonce + VALUE.encode()).hexdigest()
    assert document.token_ref == hashlib.sha256(nonce + token.encode()).hexdigest()
    assert (document.tenant, document.reason, document.interrupted) == ("acme", "request 12", False)
    assert document.ordered_by == context.principal.recorded_by
    assert document.verification == {
        "token": "not known", "reveal": "refused", "value": "not found under this key",
    }  # fmt: skip
    assert file.name == hashlib.sha256(file.read_bytes()).hexdigest()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (requested,), (completed,) = events("erasure.requested"), events("erasure.completed")
    assert requested["resource_id"] == completed["resource_id"] == document.key_id
    attributes = json.loads(completed["attributes"])
    assert attributes["muniment.certificate"] == file.name
    assert attributes["muniment.subject_ref"] == document.subject_ref
    assert command("reveal", token, "--tenant", "acme", "--reason", "x")[0] == 2
    assert command("subject", "find", "--tenant", "acme", given=VALUE)[0] == 1
    assert files_with(folder, VALUE) == []
    assert not list(context.lake.keys.glob("shredding-*"))


def test_shred_for_machines(command, token):
    """`--json` prints plan and result, the nonce in the result alone."""
    shred = ("subject", "shred", token, "--tenant", "acme", "--reason", "request 12", "--json")
    planned = json.loads(command(*shred)[1])
    done = json.loads(command(*shred, "--yes")[1])
    assert planned == {"planned": True, "tenant": "acme", "token": token, "key_id": done["key_id"]}
    assert done["token_ref"] == hashlib.sha256(bytes.fromhex(done["nonce"]) + token.encode()).hexdigest()
    code, out, message = command(*shred, "--yes")
    assert (code, out) == (2, "")
    assert "destroyed before" in message


def test_verify_stays_sound_beside_a_certificate(command, token):
    """A certificate of a destroyed key excuses nothing and disturbs no verification."""
    assert command("subject", "shred", token, "--tenant", "acme", "--reason", "request 12", "--yes")[0] == 0
    assert command("verify")[0] == 0


def test_only_an_operator_may(context, token):
    """Auditor, SRE, job and sender can neither reveal, find nor shred, and nothing is destroyed."""
    context.access = Access(owner="nobody-else", users={"auditor": ["bob"], "sre": ["carol"]})
    principals = [
        Principal(PrincipalKind.LOCAL_USER, "bob"),
        Principal(PrincipalKind.LOCAL_USER, "carol"),
        Principal(PrincipalKind.JOB, "maintenance"),
        Principal(PrincipalKind.API_KEY, "k1", frozenset({"acme"})),
    ]
    for principal in principals:
        context.principal = principal
        for action in (
            lambda: subjects.reveal_subject(context, tenant="acme", token=token, reason="x"),
            lambda: subjects.find_subject(context, tenant="acme", value=VALUE),
            lambda: subjects.subject_to_shred(context, tenant="acme", token=token, value=None),
            lambda: subjects.finish_shreddings(context, "acme"),
            lambda: subjects.shred_subject(
                context, tenant="acme", token=token, reason="x", announce_nonce=lambda _: None
            ),
        ):
            with pytest.raises(DeniedError, match="subject"):
                action()
    assert context.vault.reveal("acme", token) == VALUE


def test_what_cannot_be_recorded_is_not_done(context, token, destroyed, monkeypatch):
    """Without its event nothing is revealed, found or destroyed."""

    def refuse(*_, **__):
        raise UnavailableError("no collector answers")

    monkeypatch.setattr(context, "record", refuse)
    for action in (
        lambda: subjects.reveal_subject(context, tenant="acme", token=token, reason="x"),
        lambda: subjects.find_subject(context, tenant="acme", value=VALUE),
        destroyed,
    ):
        with pytest.raises(UnavailableError, match="no collector"):
            action()
    assert context.vault.reveal("acme", token) == VALUE
    assert not list(context.lake.keys.glob("shredding-*"))


def test_what_is_kept_is_not_shredded(context, token, destroyed, events):
    """Whoever wires holds in can refuse: nothing is recorded and nothing destroyed."""
    asked = []

    def keeper(tenant, kept):
        asked.append((tenant, kept))
        raise ConflictError("case 7 holds records of this subject")

    with pytest.raises(ConflictError, match="case 7"):
        destroyed(keeper=keeper)
    assert asked == [("acme", token)]
    assert context.vault.reveal("acme", token) == VALUE
    assert events("erasure.requested") == []


def test_a_reason_that_names_the_subject_is_refused(context, token):
    """The certificate outlives the subject: its reason may not say who it was, in any case of letters."""
    with pytest.raises(InputError, match="does not name the subject"):
        subjects.shred_subject(
            context, tenant="acme", token=token, reason=f"mail from {VALUE.upper()}", announce_nonce=lambda _: None
        )
    assert context.vault.reveal("acme", token) == VALUE


class Crash(BaseException):
    """The process ends here."""


def crash(*_, **__):
    """End the process, as far as the code under test can tell."""
    raise Crash


@pytest.mark.parametrize("place", ["record", "write_certificate", "_read_back", "scrub"])
def test_a_crash_after_the_destruction_is_finished_by_the_next_shredding(
    context, command, events, destroyed, token, monkeypatch, place
):
    """Whatever was left to do when the process died is done the next time: certificate, event, and no note that stays."""
    with monkeypatch.context() as patched:
        if place == "record":
            record = context.record
            patched.setattr(
                context,
                "record",
                lambda name, *a, **f: crash() if name == "erasure.completed" else record(name, *a, **f),
            )
        elif place == "scrub":
            patched.setattr("warehouse.subjects.vault.holds_any", crash)
        else:
            patched.setattr(subjects, place, crash)
        with pytest.raises(Crash):
            destroyed()
    assert context.vault.known("acme", [token]) == set()
    assert events("erasure.completed") == []
    assert len(list(context.lake.keys.glob("shredding-*"))) == 1
    shred = ("subject", "shred", token, "--tenant", "acme", "--reason", "request 12", "--yes", "--json")
    code, out, _ = command(*shred)
    done = json.loads(out)
    assert (code, done["interrupted"], done["nonce"]) == (0, True, None)
    (completed,) = events("erasure.completed")
    assert json.loads(completed["attributes"])["muniment.certificate"] == done["certificate_sha256"]
    assert not list(context.lake.keys.glob("shredding-*"))
    assert command(*shred)[0] == 2


def test_a_crash_before_the_destruction_leaves_the_subject_as_it_was(context, destroyed, token, monkeypatch, events):
    """The note of a shredding that destroyed nothing is dropped, and nothing is certified."""
    with monkeypatch.context() as patched:
        patched.setattr(context.vault, "destroy", crash)
        with pytest.raises(Crash):
            destroyed()
    assert subjects.finish_shreddings(context, "globex") == []
    assert len(list(context.lake.keys.glob("shredding-*"))) == 1
    assert subjects.finish_shreddings(context, "acme") == []
    assert not list(context.lake.keys.glob("shredding-*"))
    assert context.vault.reveal("acme", token) == VALUE
    assert events("erasure.completed") == []


def test_an_unreadable_subject_can_still_be_destroyed(context, destroyed, token):
    """A value that does not open any more goes all the same; the certificate then names the token alone."""
    with context.vault._database.write() as connection:
        connection.exec_driver_sql(
            "update subjects set sealed = x'00112233445566778899aabbccddeeff00112233445566778899'"
        )
    done, nonce = destroyed()
    assert done.document.subject_ref is None
    assert done.document.token_ref == hashlib.sha256(nonce + token.encode()).hexdigest()
    with pytest.raises(NotFoundError):
        context.vault.reveal("acme", token)


def test_a_certificate_counts_only_unchanged_and_under_a_known_key(context, destroyed):
    """Altered, signed by somebody else, of another kind or in another spelling: refused by name."""
    done, _ = destroyed()
    content = done.file.read_bytes()
    signers = read_signing_keys(context.lake.keys).signers("lake/certificates", context.clock())
    assert sign_destruction(done.document, signers) == content
    with pytest.raises(BadSignatureError):
        open_destruction(content.replace(b"request 12", b"request 13"), verifiers(context))
    with pytest.raises(UnknownKeyError):
        open_destruction(content, [Ed25519Verifier("lake/certificates", bytes(32))])
    line = content.decode().split("\n")[1]
    cases = [
        (f"muniment/key-destruction@v2\n{line}\n", "in the first line"),
        (f"{KIND}\n{line.replace('{', '{ ', 1)}\n", "canonical"),
        (f'{KIND}\n{line[:-1]},"more":1}}\n', "more"),
        (f"{KIND}\n{line.replace(done.document.token_ref, 'x')}\n", "token_ref: expected 64 hex"),
        (f"{KIND}\n{line.replace(done.document.destroyed_unix_nano, 'now')}\n", "nanoseconds in decimal"),
    ]
    for text, message in cases:
        with pytest.raises(CertificateError, match=message):
            open_destruction(sign_note(text, signers), verifiers(context))
