"""The detectors: one module each, and their registry."""

from collectors.redact.detector import Detector

DETECTORS: tuple[Detector, ...] = ()
"""Every detector, in the order in which they are listed to people."""
