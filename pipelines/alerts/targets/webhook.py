"""A webhook of one's own, signed as Standard Webhooks 1.0 says: HMAC-SHA-256 over `id.timestamp.body`.

    webhook-id: <the same for every attempt>
    webhook-timestamp: <seconds since 1970>
    webhook-signature: v1,<base64 of the HMAC>

A receiver recomputes the HMAC over the bytes as they came, compares in constant time, and refuses a timestamp that is minutes away; so
neither a forger nor somebody who replays an old request gets in. docs/alerts.md has the code.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from pipelines.alerts.address import Address
from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import TargetUnavailableError
from pipelines.alerts.http import Poster
from pipelines.alerts.notice import Notice
from pipelines.alerts.secret import Secret, read_secret
from pipelines.alerts.wording import Wording, precise_text
from warehouse.clock import NANOS_PER_SECOND
from warehouse.secret_text import ReadVariable

LEAST_KEY_BYTES = 24
_PREFIX = "whsec_"


class WebhookTarget:
    """One receiver of signed requests, one notice each."""

    most_at_once = 1

    def __init__(self, config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> None:
        self._address = Address.parse(str(config.url), unsafe_plain_http=config.unsafe_plain_http)
        self._config = config
        self._wording = wording
        self._read_variable = read_variable
        self._poster = Poster(config.name, config.timeout_seconds, config.ca_file)

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:
        """See `Target.send`."""
        secret = read_secret(self._config, self._read_variable)
        key = self._key(secret)
        answer = ""
        for notice in notices:
            content = {
                "type": f"alert.{notice.status}",
                "timestamp": precise_text(now_unix_nano),
                "data": self._wording.fields(notice),
            }
            body = json.dumps(content, ensure_ascii=False).encode()
            headers = signature_headers(key, notice.id, now_unix_nano // NANOS_PER_SECOND, body)
            answer = self._poster.post(self._address, body, headers=headers, secret=secret)
        return answer

    def _key(self, secret: Secret) -> bytes:
        """The signing key: what stands behind `whsec_` in base64, else the text itself."""
        try:
            encoded = secret.text.startswith(_PREFIX)
            key = (
                base64.b64decode(secret.text.removeprefix(_PREFIX), validate=True) if encoded else secret.text.encode()
            )
        except binascii.Error:
            key = b""
        if len(key) < LEAST_KEY_BYTES:
            raise TargetUnavailableError(
                f"target {self._config.name}: expected a secret of at least {LEAST_KEY_BYTES} bytes, as text or as "
                f"{_PREFIX} and base64, got another",
                hint="python3 -c 'import base64, secrets; print(\"whsec_\" + base64.b64encode(secrets.token_bytes(32)).decode())'",
            )
        return key


def signature_headers(key: bytes, notice_id: str, timestamp_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0 for one request."""
    signed = f"{notice_id}.{timestamp_seconds}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": f"v1,{signature}",
    }
