"""What the loop evaluates each round, besides the watchdog."""

from muniment.alerting import Source

SOURCES: tuple[Source, ...] = ()
