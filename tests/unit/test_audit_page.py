"""The filter of the page *Audit explorer*."""

from dashboards.audit import _named

SHOWN = ("everything", "accesses: who viewed or exported what", "without accesses: what agents and people did")


def test_what_is_shown_is_asked_for_by_name():
    """Accesses are two events; without them the others are asked for, and none where a tenant has accesses alone."""
    names = ["model.switched", "record.viewed"]
    assert [_named(each, names) for each in SHOWN] == [(), ("data.exported", "record.viewed"), ("model.switched",)]
    assert _named(SHOWN[2], ["record.viewed"]) == ("",)


def test_names_that_could_not_be_read_narrow_nothing():
    """Where it is not known which events there are, nobody is told that there are none."""
    assert _named(SHOWN[2], []) == ()
