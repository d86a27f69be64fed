"""What each kind of target sends, byte by byte where the receiver looks at bytes, and what it makes of answers."""

import base64
import hashlib
import hmac
import json
import re
import stat
import time
from pathlib import Path

import pytest

from pipelines.alerts.errors import AlertRefusedError, TargetUnavailableError
from pipelines.alerts.notice import Notice
from pipelines.alerts.targets import open_target
from pipelines.alerts.wording import Wording

SECRET = "tops3cret-value-of-32-characters"
WORDING = Wording("lab", "https://docs.example.org/runbooks/")


@pytest.fixture
def open_(alerting):
    """Opens a target whose secret is SECRET, or another."""

    def make(kind, secret=SECRET, **settings):
        if kind in {"webhook", "pagerduty", "slack"}:
            settings["secret_variable"] = "S"
        return open_target(alerting.target(kind, **settings), WORDING, {"S": secret, "T": secret}.get)

    return make


@pytest.fixture
def firing(alerting):
    return Notice(alerting.alert(labels={"slo": "latency", "severity": "own"}, runbook="slow.md", value=20.5))


@pytest.fixture
def resolved(alerting):
    return Notice(alerting.alert(ends_unix_nano=alerting.NOW + 90 * alerting.SECOND), told=True)


def test_alertmanager(alerting, open_, receiver, firing, resolved):
    """POST /api/v2/alerts: labels, annotations, an end ahead of time while it fires, and the true end afterwards."""
    answer = open_("alertmanager", url=f"{receiver.url}/am/").send([firing, resolved], alerting.NOW + alerting.SECOND)
    (request,) = receiver.requests
    assert (request.path, answer) == ("/am/api/v2/alerts", "200 ok")
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    first, second = request.json
    assert first["labels"] == {
        "alertname": "slow", "tenant": "acme", "severity": "page", "kind": "slo", "lake": "lab", "slo": "latency",
        "label_severity": "own",
    }  # fmt: skip
    assert first["annotations"]["runbook"] == "https://docs.example.org/runbooks/slow.md"
    assert first["annotations"]["value"] == "20.5"
    assert (first["startsAt"], first["endsAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:05:01.000Z")
    assert second["endsAt"] == "2027-01-15T08:01:30.000Z"


def test_alertmanager_is_told_of_nothing_that_ends_before_it_starts(alerting, open_, receiver):
    """It refuses that: an alert of a record that was dated an hour ahead of time starts now."""
    ahead = Notice(alerting.alert(starts_unix_nano=alerting.NOW + 3600 * alerting.SECOND))
    open_("alertmanager", url=receiver.url).send([ahead], alerting.NOW)
    ((sent,),) = [request.json for request in receiver.requests]
    assert (sent["startsAt"], sent["endsAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:05:00.000Z")


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("token-0123456789", "Bearer token-0123456789"),
        ("me:password", f"Basic {base64.b64encode(b'me:password').decode()}"),
    ],
)
def test_alertmanager_behind_a_password(alerting, open_, receiver, firing, secret, header):
    """A token is a bearer token, `user:password` is basic authentication."""
    open_("alertmanager", secret, url=receiver.url, secret_variable="T").send([firing], alerting.NOW)
    assert receiver.requests[0].headers["authorization"] == header


def test_webhook(alerting, open_, receiver, firing):
    """Signed as Standard Webhooks 1.0 says, over id, timestamp and the bytes of the body."""
    target = open_("webhook", url=f"{receiver.url}/hook")
    target.send([firing], alerting.NOW + 7 * alerting.SECOND)
    target.send([firing], alerting.NOW + 70 * alerting.SECOND)
    first, second = receiver.requests
    assert first.path == "/hook"
    signed = b".".join([first.headers["webhook-id"].encode(), b"1800000007", first.body])
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"
    assert first.headers["webhook-timestamp"] == "1800000007"
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert second.headers["webhook-signature"] != first.headers["webhook-signature"]
    assert first.json["type"] == "alert.firing"
    data = first.json["data"]
    assert (data["id"], data["tenant"], data["name"], data["severity"]) == (
        first.headers["webhook-id"], "acme", "slow", "page",
    )  # fmt: skip
    assert SECRET not in str(receiver.requests)


def test_webhook_key_in_base64(alerting, open_, receiver, firing):
    """`whsec_` and base64 is the form in which Standard Webhooks writes keys."""
    key = bytes(range(32))
    open_("webhook", f"whsec_{base64.b64encode(key).decode()}", url=receiver.url).send([firing], alerting.NOW)
    (request,) = receiver.requests
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


@pytest.mark.parametrize("secret", ["short", "whsec_AAAA", "whsec_not base64!"])
def test_webhook_keys_that_are_too_weak(alerting, open_, receiver, firing, secret):
    """A key of less than 24 bytes, or one that cannot be read, signs nothing."""
    with pytest.raises(TargetUnavailableError, match="at least 24 bytes") as caught:
        open_("webhook", secret, url=receiver.url).send([firing], alerting.NOW)
    assert secret not in str(caught.value)
    assert receiver.requests == []


def documented_check():
    """The function `verify` of docs/alerts.md, as a receiver would copy it."""
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf8")
    found = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], found)
    return found["verify"]


@pytest.mark.parametrize("secret", [SECRET, "whsec_" + base64.b64encode(bytes(range(32))).decode()])
def test_the_documented_check_accepts_what_is_sent(alerting, open_, receiver, firing, secret):
    """What the page tells receivers to do accepts a true request, and refuses another body, another time and an old one."""
    now = time.time_ns()
    open_("webhook", secret, url=receiver.url).send([firing], now)
    (request,) = receiver.requests
    verify = documented_check()
    verify(secret, request.headers, request.body)
    with pytest.raises(ValueError, match="another signature"):
        verify(secret, request.headers, request.body + b" ")
    later = {**request.headers, "webhook-timestamp": str(int(request.headers["webhook-timestamp"]) + 1)}
    with pytest.raises(ValueError, match="another signature"):
        verify(secret, later, request.body)
    open_("webhook", secret, url=receiver.url).send([firing], now - 301 * alerting.SECOND)
    with pytest.raises(ValueError, match="last five minutes"):
        verify(secret, receiver.requests[1].headers, receiver.requests[1].body)


def test_pagerduty(alerting, open_, receiver, firing, resolved):
    """Events v2: one key for trigger and resolve, a severity it knows, the runbook as a link."""
    target = open_("pagerduty", url=f"{receiver.url}/v2/enqueue")
    target.send([firing], alerting.NOW)
    target.send([resolved], alerting.NOW)
    trigger, resolve = (request.json for request in receiver.requests)
    assert trigger["routing_key"] == SECRET
    assert (trigger["event_action"], trigger["dedup_key"]) == ("trigger", firing.alert.fingerprint)
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"] == "[page] acme: answers are slow"
    assert trigger["payload"]["source"] == "lab/acme"
    assert trigger["links"] == [{"href": "https://docs.example.org/runbooks/slow.md", "text": "Runbook"}]
    assert resolve == {"event_action": "resolve", "routing_key": SECRET, "dedup_key": resolved.alert.fingerprint}


def test_pagerduty_learns_of_what_it_missed(alerting, open_, receiver):
    """An alert that ended before PagerDuty heard of it is triggered and resolved."""
    over = Notice(alerting.alert(ends_unix_nano=alerting.NOW + 90 * alerting.SECOND))
    open_("pagerduty", url=receiver.url).send([over], alerting.NOW)
    assert [request.json["event_action"] for request in receiver.requests] == ["trigger", "resolve"]
    assert receiver.requests[0].json["payload"]["summary"] == "[resolved] acme: answers are slow (lasted 1 min 30 s)"


def test_slack(alerting, open_, receiver):
    """The URL is the secret; nothing in a text becomes a mention or a link."""
    notice = Notice(alerting.alert(summary="<!channel> & <https://evil.example.org|click>"))
    open_("slack", f"{receiver.url}/services/T0/B0/verysecret").send([notice], alerting.NOW)
    (request,) = receiver.requests
    assert request.path == "/services/T0/B0/verysecret"
    text = json.dumps(request.json)
    assert "<" not in text
    # or Slack makes links of addresses and names that stand in the open
    assert all(part["verbatim"] for part in [request.json["blocks"][0]["text"], *request.json["blocks"][1]["elements"]])
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example.org|click&gt;" in text


def test_slack_does_not_show_its_address(alerting, open_, receiver, firing):
    """Neither an answer nor an error shows the path, even where the receiver repeats it."""
    receiver.script += [
        (404, b"no_service for /services/T0/B0/verysecret"),
        (200, b"posted to /services/T0/B0/verysecret"),
    ]
    target = open_("slack", f"{receiver.url}/services/T0/B0/verysecret")
    with pytest.raises(TargetUnavailableError) as caught:
        target.send([firing], alerting.NOW)
    assert "verysecret" not in str(caught.value)
    assert "verysecret" not in target.send([firing], alerting.NOW)


def test_file(alerting, open_, tmp_path, firing, resolved):
    """One line of JSON a notice, for the owner alone, after what a crash left of a line."""
    file = tmp_path / "alerts.jsonl"
    file.write_text('{"torn')
    file.chmod(0o644)
    target = open_("file", path=str(file))
    assert str(file) in target.send([firing, resolved], alerting.NOW)
    target.send([firing], alerting.NOW)
    torn, *lines = file.read_text().splitlines()
    assert torn == '{"torn'
    assert [json.loads(line)["status"] for line in lines] == ["firing", "resolved", "firing"]
    assert json.loads(lines[1])["ends_at"] == "2027-01-15T08:01:30.000Z"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_target_follows_no_link(alerting, open_, tmp_path, firing):
    """A link in the file's place would have the loop write to whatever it leads to."""
    (tmp_path / "other").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(TargetUnavailableError, match="link"):
        open_("file", path=str(tmp_path / "link")).send([firing], alerting.NOW)
    assert (tmp_path / "other").read_text() == ""


@pytest.mark.parametrize(
    ("answer", "error", "expected"),
    [
        ((400, b"bad labels"), AlertRefusedError, "got 400 bad labels"),
        ((422, b""), AlertRefusedError, "got 422"),
        ((401, b"who are you"), TargetUnavailableError, "got 401 who are you"),
        ((404, b""), TargetUnavailableError, "got 404"),
        ((429, b"slow down", ("retry-after", "17")), TargetUnavailableError, "got 429"),
        ((500, b"oops\x1b[31m"), TargetUnavailableError, "got 500 oops·"),
        ((302, b"", ("location", "http://127.0.0.1:1/else")), TargetUnavailableError, "redirects are not followed"),
    ],
)
def test_answers(alerting, open_, receiver, firing, answer, error, expected):
    """What condemns the alert and what is about the target are told apart; a redirect leads nowhere."""
    receiver.script.append(answer)
    with pytest.raises(error, match=expected) as caught:
        open_("alertmanager", url=receiver.url).send([firing], alerting.NOW)
    assert len(receiver.requests) == 1
    if answer[0] == 429:
        assert caught.value.retry_after_seconds == 17.0


def trickle(handler):
    """An answer of a byte now and then, each well within a limit of its own."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    try:
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return  # cut off, as it should be


def test_a_target_that_trickles_is_cut_off(alerting, open_, receiver, firing):
    """The time limit is that of the whole request, not of each byte."""
    receiver.script.append(trickle)
    with pytest.raises(TargetUnavailableError, match=r"no answer within 0\.3 s"):
        open_("alertmanager", url=receiver.url, timeout_seconds=0.3).send([firing], alerting.NOW)


def test_a_target_that_says_nothing_is_cut_off(alerting, open_, receiver, firing):
    """So is one that only listens."""
    receiver.script.append(receiver.hang)
    with pytest.raises(TargetUnavailableError, match="no answer"):
        open_("alertmanager", url=receiver.url, timeout_seconds=0.3).send([firing], alerting.NOW)


def test_a_secret_that_an_answer_repeats_is_hidden(alerting, open_, receiver, firing):
    """A receiver that shows the routing key in its error does not bring it into messages."""
    receiver.script.append((400, f'{{"message": "key {SECRET} is wrong"}}'.encode()))
    with pytest.raises(AlertRefusedError, match=r"key \*\*\* is wrong"):
        open_("pagerduty", url=receiver.url).send([firing], alerting.NOW)
