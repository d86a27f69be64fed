"""The intake forms groups, answers each request once, and recognises what is sent again."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from collectors.decode.group import Counts, DecodedGroup
from collectors.exports import Export, Outcome, Sender, Signal
from collectors.intake import Intake, IntakeConfig
from warehouse.errors import DecodeError, OverloadedError, UnavailableError
from warehouse.recent import RecentRequests
from warehouse.treated import RecordSet

SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:40000")
WAIT_SECONDS = 120


@dataclass
class StagedPipeline:
    """A pipeline whose groups become durable when the test says so."""

    groups: list[list[Export]] = field(default_factory=list)
    durable: list[Future[None]] = field(default_factory=list)
    fails_with: Exception | None = None
    taken: threading.Condition = field(default_factory=threading.Condition)

    def process(self, exports):
        """Note the group, and leave it undurable."""
        with self.taken:
            self.groups.append(list(exports))
            self.durable.append(Future())
            self.taken.notify_all()
        if self.fails_with is not None:
            raise self.fails_with
        outcomes = [DecodeError("broken") if e.body == b"broken" else Outcome(accepted=len(e.body)) for e in exports]
        return DecodedGroup(RecordSet({}), outcomes, [], Counts()), self.durable[-1]

    def wait_for_groups(self, count):
        """Wait until `count` groups were processed."""
        with self.taken:
            assert self.taken.wait_for(lambda: len(self.groups) >= count, WAIT_SECONDS)


@pytest.fixture
def recent(tmp_path):
    """Remembers no request yet."""
    return RecentRequests(tmp_path / "recent", window_seconds=600, clock=lambda: 1)


@pytest.fixture
def start(recent):
    """Start an intake over a pipeline with a given configuration; stopped at the end."""
    started = []

    def begin(pipeline, **config):
        intake = Intake(pipeline, recent, config=IntakeConfig(**config))
        intake.start()
        started.append((intake, pipeline))
        return intake

    yield begin
    for intake, pipeline in started:
        for future in pipeline.durable:
            if not future.done():
                future.set_result(None)
        intake.stop()


def request(number: int, body: bytes = b"body") -> Export:
    """A request unlike any other."""
    return Export(Signal.TRACES, body, SENDER, 1, number.to_bytes(16, "big"))


def test_a_request_that_comes_alone_is_processed_alone(start):
    """An idle intake does not hold a lone request back for company."""
    pipeline = StagedPipeline()
    intake = start(pipeline, linger_seconds=WAIT_SECONDS * 10, max_linger_seconds=WAIT_SECONDS * 10)
    answer = intake.submit(request(1))
    pipeline.wait_for_groups(1)
    pipeline.durable[0].set_result(None)
    assert answer.result(WAIT_SECONDS) == Outcome(accepted=4)
    assert [len(group) for group in pipeline.groups] == [1]


def test_small_requests_gather_while_the_group_before_becomes_durable(start):
    """What arrives while a group is being made durable goes on as one group."""
    pipeline = StagedPipeline()
    intake = start(pipeline, max_linger_seconds=WAIT_SECONDS * 10)
    answers = [intake.submit(request(0))]
    pipeline.wait_for_groups(1)
    answers += [intake.submit(request(number)) for number in range(1, 6)]
    pipeline.durable[0].set_result(None)
    pipeline.wait_for_groups(2)
    pipeline.durable[1].set_result(None)
    assert [answer.result(WAIT_SECONDS).accepted for answer in answers] == [4] * 6
    assert [len(group) for group in pipeline.groups] == [1, 5]


def test_a_large_request_does_not_wait_for_others(start):
    """A group at or above `small_group_bytes` is processed though the one before is not durable yet."""
    pipeline = StagedPipeline()
    intake = start(pipeline, small_group_bytes=4, max_linger_seconds=WAIT_SECONDS * 10)
    for number in (1, 2):
        intake.submit(request(number))
        pipeline.wait_for_groups(number)
    assert [len(group) for group in pipeline.groups] == [1, 1]


def test_waiting_has_an_end(start):
    """A small group goes on after `max_linger_seconds`, whatever the group before does."""
    pipeline = StagedPipeline()
    intake = start(pipeline, linger_seconds=0.001, max_linger_seconds=0.005)
    for number in (1, 2):
        intake.submit(request(number))
        pipeline.wait_for_groups(number)
    assert [len(group) for group in pipeline.groups] == [1, 1]


def test_nothing_is_answered_before_it_is_durable(start):
    """An acknowledgement waits for the journal, and a failure there reaches every sender of the group."""
    pipeline = StagedPipeline()
    intake = start(pipeline)
    answer = intake.submit(request(1))
    pipeline.wait_for_groups(1)
    assert not answer.done()
    pipeline.durable[0].set_exception(UnavailableError("journal: disk full"))
    with pytest.raises(UnavailableError, match="disk full"):
        answer.result(WAIT_SECONDS)
    assert intake.waiting_requests == 0


def test_a_broken_request_fails_alone(start):
    """One undecodable request of a group gets its error; the others are acknowledged."""
    pipeline = StagedPipeline()
    intake = start(pipeline)
    good, bad = intake.submit(request(1)), intake.submit(request(2, b"broken"))
    pipeline.wait_for_groups(1)
    while not (good.done() and bad.done()):
        for future in list(pipeline.durable):
            if not future.done():
                future.set_result(None)
    assert good.result().accepted == 4
    assert isinstance(bad.exception(), DecodeError)


def test_a_failed_group_is_answered_and_the_next_is_taken(start):
    """Whatever the pipeline raises, its senders hear of it and the intake lives on."""
    pipeline = StagedPipeline(fails_with=RuntimeError("no"))
    intake = start(pipeline)
    with pytest.raises(UnavailableError, match="intake failed: no"):
        intake.submit(request(1)).result(WAIT_SECONDS)
    pipeline.fails_with = None
    answer = intake.submit(request(2))
    pipeline.wait_for_groups(2)
    pipeline.durable[1].set_result(None)
    assert answer.result(WAIT_SECONDS).accepted == 4


def test_the_same_request_in_flight_shares_one_answer(start):
    """A request sent again before its first answer is not taken twice."""
    pipeline = StagedPipeline()
    intake = start(pipeline)
    first = intake.submit(request(1))
    assert intake.submit(request(1)) is first


@pytest.mark.parametrize(
    ("config", "limit"), [({"queue_requests": 1}, "queue_requests 1"), ({"queue_bytes": 5}, "queue_bytes 5")]
)
def test_a_full_intake_names_its_limit(start, config, limit):
    """What is over a limit is refused with that limit."""
    intake = start(StagedPipeline(), **config)
    intake.submit(request(1))
    with pytest.raises(OverloadedError, match=limit):
        intake.submit(request(2))


def test_a_request_acknowledged_while_it_comes_again_is_not_taken_twice(start, recent):
    """A request is looked for among the answered ones only after those in flight: between them it cannot slip through."""
    pipeline = StagedPipeline()
    intake = start(pipeline)
    first = intake.submit(request(1))
    pipeline.wait_for_groups(1)
    find = recent.find

    def acknowledge_meanwhile(digest):
        known = find(digest)
        recent.add([(digest.hex(), 4, 0, "")])
        pipeline.durable[0].set_result(None)
        return known

    recent.find = acknowledge_meanwhile
    assert intake.submit(request(1)) is first
    assert len(pipeline.groups) == 1
