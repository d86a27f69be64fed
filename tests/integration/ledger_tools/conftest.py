"""A real lake with a tenant whose log holds a few hundred records, made in this process."""

import contextlib

import pytest

from muniment.setup import set_up_lake
from muniment.tenancy import add_tenant
from muniment.wiring import command_context
from tests.template import made_once
from warehouse.clock import system_clock
from warehouse.own_events import OwnEvent

RECORDS = 300


def events(tenant, count):
    """Own events that are easily told apart."""
    return [OwnEvent(tenant, "control.reviewed", "muniment:test", fields={"resource_id": str(n)}) for n in range(count)]


def make_lake(folder):
    """A lake called `tools` with the tenant `acme` and 300 records of it."""
    set_up_lake(folder, name="tools", clock=system_clock)
    context = command_context(folder)
    add_tenant(context.control, context.access, context.principal, lambda *_, **__: None, tenant_id="acme", name=None)
    context.recorder.record(events("acme", RECORDS))
    context.control.close()


@pytest.fixture
def context(tmp_path):
    """Such a lake."""
    context = command_context(made_once(make_lake, tmp_path / "lake"))
    with contextlib.closing(context.control):
        yield context


@pytest.fixture
def record(context):
    """Records so many more events of a tenant, through the shard `self`."""
    return lambda tenant, count: context.recorder.record(events(tenant, count))


@pytest.fixture
def log_folder(context):
    """The folder of a tenant's only log."""

    def find(tenant):
        (folder,) = (context.lake.path / "ledger" / tenant).iterdir()
        return folder

    return find
