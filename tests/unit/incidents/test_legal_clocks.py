"""Legal clocks: the times that the laws give, and when one that runs has to be told of."""

import pytest

from pipelines.incidents.clocks import LEGAL_CLOCKS, passed_share

DAY = 86_400_000_000_000


def test_the_laws_own_times():
    """15, 10 and 2 days by Article 73 of Regulation (EU) 2024/1689, 72 hours by Article 33 of Regulation (EU) 2016/679."""
    days = {name: clock.allowed_nanos / DAY for name, clock in LEGAL_CLOCKS.items()}
    assert days == {"ai-act-73": 15, "ai-act-73-death": 10, "ai-act-73-widespread": 2, "gdpr-33": 3}


@pytest.mark.parametrize(
    ("passed", "share"),
    [(-1, None), (0, None), (49, None), (50, 50), (79, 50), (80, 80), (99, 80), (100, 100), (500, 100)],
)
def test_a_clock_is_told_of_at_half_four_fifths_and_the_end(passed, share):
    """Exactly at the share, and until the next one."""
    assert passed_share(1_000, 1_100, 1_000 + passed) == share
