"""What stands beside a good finding that may not be of the whole period."""

from types import SimpleNamespace

import pytest

from governance.evidence.report import partial

LOG = {"purged": 0, "missing": 0, "altered": 0}


@pytest.mark.parametrize(
    ("as_of", "found", "log", "said"),
    [
        (9, {}, {}, None),
        (8, {}, {}, "the newest record is from before its end"),
        (9, {"listening_established": False}, {}, "it is not established that a collector listened"),
        (9, {"gaps": [{"from": "a", "to": "b"}]}, {}, "at times nobody listened"),
        (9, {}, {"purged": 1}, "records were deleted under certificate"),
        (9, {}, {"missing": 1}, "records are missing or altered"),
        (9, {}, {"altered": 1}, "records are missing or altered"),
    ],
)
def test_a_good_finding_says_of_what_it_may_not_be(as_of, found, log, said):
    """Each reason for which there may be fewer records than there were; none where nothing is missing."""
    completeness = {"listening_established": True, "gaps": [], "logs": [LOG, LOG | log]} | found
    text = partial(SimpleNamespace(as_of_unix_nano=as_of, to_unix_nano=9, completeness=completeness))
    assert (text == "") if said is None else (said in text)
