"""The detectors: one module each, and their registry."""

from collections.abc import Mapping

from collectors.redact.detector import Detector
from collectors.redact.detectors.address import ADDRESS
from collectors.redact.detectors.card import CARD
from collectors.redact.detectors.date_of_birth import DATE_OF_BIRTH
from collectors.redact.detectors.email import EMAIL
from collectors.redact.detectors.iban import IBAN
from collectors.redact.detectors.ip import IP
from collectors.redact.detectors.national_id import NATIONAL_ID
from collectors.redact.detectors.person import PERSON
from collectors.redact.detectors.phone import PHONE
from collectors.redact.detectors.secret import SECRET
from collectors.redact.detectors.ssn import SSN
from collectors.redact.detectors.url_credentials import URL_CREDENTIALS

DETECTORS: tuple[Detector, ...] = (
    EMAIL,
    PHONE,
    CARD,
    IBAN,
    SSN,
    NATIONAL_ID,
    IP,
    DATE_OF_BIRTH,
    ADDRESS,
    PERSON,
    SECRET,
    URL_CREDENTIALS,
)
"""Every detector, in the order in which they are listed to people."""

BY_NAME: Mapping[str, Detector] = {detector.name: detector for detector in DETECTORS}
"""The same by name, as policies call them."""
