"""A change of retention takes two principals where two hold the right; other kinds, and the first policy of all, take one."""

import pytest

from governance.access import Access
from muniment.policy_approval import put_in_force
from muniment.policy_kinds import REDACTION, RETENTION
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.control import RequestRecord
from warehouse.errors import DeniedError, NotFoundError
from warehouse.policies import Bundle
from warehouse.principals import Principal, PrincipalKind

ALICE, BERT = (Principal(PrincipalKind.LOCAL_USER, name) for name in ("alice", "bert"))


@pytest.fixture
def context(tmp_path):
    """A lake that alice owns, with bert as a second operator."""
    context = command_context(init_lake(tmp_path / "lake"))
    context.access = Access(owner="alice", users={"operator": ["bert"]})
    context.principal = ALICE
    yield context
    context.control.close()


def retention(days):
    return Bundle("retention", {"a.yaml": f'retention:\n  - {{name: base, tables: ["*"], keep: {days}}}\n'})


def put(context, kind, bundle, *, approve=False):
    return put_in_force(context, kind, bundle, replacing=context.control.policy_hash(kind.name), approve=approve)


def test_one_asks_and_another_puts_it_in_force(context):
    """Nothing changes until somebody else approves the very files that were asked for."""
    before = context.control.policy_hash("retention")
    asked = put(context, RETENTION, retention(10))
    assert isinstance(asked, RequestRecord)
    assert context.control.policy_hash("retention") == before
    with pytest.raises(DeniedError, match="another principal"):
        put(context, RETENTION, retention(10), approve=True)
    context.principal = BERT
    with pytest.raises(NotFoundError, match="waits for approval"):
        put(context, RETENTION, retention(9), approve=True)
    put(context, RETENTION, retention(10), approve=True)
    assert context.control.policy_hash("retention") == retention(10).content_hash
    assert context.control.list_requests() == []


def test_other_kinds_take_one(context):
    """How texts are redacted may be changed by one operator."""
    files = REDACTION.defaults().files
    bundle = Bundle("redaction", {name: f"{content}\n# looked at\n" for name, content in files.items()})
    put(context, REDACTION, bundle)
    assert context.control.policy_hash("redaction") == bundle.content_hash


def test_one_operator_alone_may(context):
    """Where nobody else holds the right, one principal suffices."""
    context.access = Access(owner="alice", users={})
    put(context, RETENTION, retention(10))
    assert context.control.policy_hash("retention") == retention(10).content_hash
