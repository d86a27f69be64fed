"""Sessions of the pages: who has a ticket, until when, and that nothing else opens the lake."""

import pytest

from governance.access.identity import shown_name, signed_in
from muniment.desk_sessions import Sessions
from warehouse.errors import DeniedError, UnavailableError
from warehouse.principals import Principal, PrincipalKind

HOUR = 3600.0


class Tokens:
    """A provider whose tokens are known by name: claims of each, and until when it is valid."""

    def __init__(self, **claims):
        self.known = claims

    def claims(self, token, now):
        found = self.known.get(token)
        if found is None or found["exp"] <= now:
            raise DeniedError("refused")
        return found


def claims(sub, issued=0.0, valid_seconds=600.0, **more):
    return {"sub": sub, "iat": issued, "exp": issued + valid_seconds, **more}


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(clock):
    """Sessions of eight hours by a provider that knows ada and bob."""

    def principal(found):
        return signed_in(found, "groups", now=clock.seconds, session_hours=8)

    return Sessions(Tokens(ada=claims("a"), bob=claims("b", issued=60.0)), principal, 8, clock, steady=clock)


def test_a_ticket_is_its_owner_s_alone(sessions):
    """Each token has one session, each session its own ticket, and who holds it is said by the desk."""
    said = []
    ada, bob = sessions.open("ada", said.append), sessions.open("bob", said.append)
    assert ada.ticket != bob.ticket
    assert [each.principal.id for each in said] == ["a", "b"]
    assert sessions.find("ada") is ada
    assert sessions.principal(ada.ticket) == Principal(PrincipalKind.OIDC_USER, "a")
    assert sessions.principal(bob.ticket).id == "b"
    assert ada.ticket not in repr(ada)


@pytest.mark.parametrize("ticket", ["", "ada", "x" * 43])
def test_a_ticket_that_was_not_given_out_is_refused(sessions, ticket):
    """Whoever makes one up is nobody."""
    sessions.open("ada", lambda _: None)
    with pytest.raises(DeniedError, match="this session has ended"):
        sessions.principal(ticket)


def test_a_session_ends_though_its_token_is_kept(sessions, clock):
    """Eight hours after the token was issued its ticket is void, and the token opens no other."""
    ada = sessions.open("ada", lambda _: None)
    clock.seconds = 8 * HOUR - 1
    assert sessions.find("ada") is ada, "a session goes on after its token's own time"
    clock.seconds = 8 * HOUR
    assert sessions.find("ada") is None
    with pytest.raises(DeniedError, match="this session has ended"):
        sessions.principal(ada.ticket)
    with pytest.raises(DeniedError, match="refused"):
        sessions.open("ada", lambda _: None)


def test_who_signed_out_stays_out(sessions, clock):
    """Ticket and token are void at once; another's session goes on; signing out twice is no mistake."""
    ada, bob = sessions.open("ada", lambda _: None), sessions.open("bob", lambda _: None)
    sessions.end(ada.ticket)
    sessions.end(ada.ticket)
    with pytest.raises(DeniedError, match="this session has ended"):
        sessions.principal(ada.ticket)
    with pytest.raises(DeniedError, match="signed out"):
        sessions.find("ada")
    assert sessions.principal(bob.ticket).id == "b"
    clock.seconds = 8 * HOUR
    assert sessions.find("ada") is None, "what was signed out is forgotten once the token is worth nothing"


def test_a_clock_that_is_set_back_makes_no_session_longer(sessions, clock):
    """The steady clock goes on: the session ends when its hours have passed, whatever the time of day says."""
    steady = Clock()
    sessions.steady = steady
    ada = sessions.open("ada", lambda _: None)
    clock.seconds, steady.seconds = -4 * HOUR, 8 * HOUR - 1
    assert sessions.find("ada") is ada
    steady.seconds = 8 * HOUR
    with pytest.raises(DeniedError, match="this session has ended"):
        sessions.principal(ada.ticket)


def test_a_clock_that_goes_forward_and_back_makes_no_token_new(sessions, clock):
    """A token that signed out stays void: that it did is not forgotten for a wrong time of day."""
    steady = Clock()
    sessions.steady = steady
    ada = sessions.open("ada", lambda _: None)
    sessions.end(ada.ticket)
    clock.seconds = 9 * HOUR
    with pytest.raises(DeniedError, match="signed out"):
        sessions.find("ada")
    clock.seconds = 1.0
    with pytest.raises(DeniedError, match="signed out"):
        sessions.open("ada", lambda _: None)


def test_a_tab_that_is_at_the_door_does_not_come_in_after_signing_out(sessions):
    """A second tab that began to open the session before the first one signed out is refused."""

    def signed_out_meanwhile(_):
        sessions.end(sessions.open("ada", lambda _: None).ticket)

    with pytest.raises(DeniedError, match="signed out"):
        sessions.open("ada", signed_out_meanwhile)


def test_nobody_comes_in_whom_the_log_does_not_know(sessions):
    """What cannot be recorded opens no session."""

    def fail(_session):
        raise UnavailableError("the log does not answer")

    with pytest.raises(UnavailableError):
        sessions.open("ada", fail)
    assert sessions.find("ada") is None


def test_with_a_provider_nobody_is_the_local_user(sessions):
    """Without a token nobody is let in; with an empty one neither."""
    for method in (sessions.find, lambda token: sessions.open(token, lambda _: None)):
        with pytest.raises(DeniedError, match="expected somebody who signed in"):
            method(None)
    with pytest.raises(DeniedError):
        sessions.open("", lambda _: None)


def test_without_a_provider_nobody_comes_by_a_token(clock):
    """The local user looks, for ever, and cannot be signed out; a token is refused."""
    local = Sessions(None, pytest.fail, 8, clock, local=lambda: Principal(PrincipalKind.LOCAL_USER, "alice"))
    session = local.open(None, lambda _: None)
    clock.seconds = 1000 * HOUR
    local.end(session.ticket)
    assert local.find(None) is session
    assert local.principal(session.ticket).recorded_by == "user:alice"
    with pytest.raises(DeniedError, match="no sign-in is configured"):
        local.open("ada", lambda _: None)


ADDRESS = {"sub": "u-1", "iat": 0, "email": "Ada@Example.org"}


@pytest.mark.parametrize(
    ("claim", "given", "expected"),
    [
        ("sub", ADDRESS, "u-1"),
        ("email", ADDRESS | {"email_verified": True}, "ada@example.org"),
        ("email", ADDRESS, None),
        ("email", ADDRESS | {"email_verified": False}, None),
        ("email", ADDRESS | {"email_verified": "true"}, None),
        ("email", {"sub": "u-1", "iat": 0, "email_verified": True}, None),
        ("email", ADDRESS | {"email": ["a"], "email_verified": True}, None),
    ],
)
def test_a_person_is_who_the_provider_vouches_for(claim, given, expected):
    """By `sub`, or by an address that the provider says it checked; one that it did not check names nobody."""
    if expected is None:
        with pytest.raises(DeniedError, match="email"):
            signed_in(given, "groups", now=0, session_hours=8, user_claim=claim)
    else:
        assert signed_in(given, "groups", now=0, session_hours=8, user_claim=claim).id == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"email": "ada@example.org", "email_verified": True}, "ada@example.org"),
        ({"email": "ada@example.org"}, "u-1"),
        ({"email": "a\nb", "email_verified": True}, "u-1"),
        ({"email": "", "email_verified": True}, "u-1"),
        ({"name": "The Owner"}, "u-1"),
    ],
)
def test_a_page_shows_no_name_that_nobody_checked(given, expected):
    """A person cannot call themselves as they like."""
    assert shown_name(given, Principal(PrincipalKind.OIDC_USER, "u-1")) == expected
