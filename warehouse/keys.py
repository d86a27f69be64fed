"""The lake's secret and the keys derived from it.

One random 256-bit secret lies in `LAKE/keys/lake.json`. Every purpose gets a key of its own by HMAC-SHA256 over its name
(the expand step of HKDF, RFC 5869 §2.3, with one block), so no key serves two purposes.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field

from warehouse.errors import CorruptionError
from warehouse.lake import Lake

DIGEST_BYTES = 16


@dataclass(frozen=True)
class LakeKeys:
    """Keys derived from one lake's secret."""

    lake_id: str
    _secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """32-byte key for `purpose`, e.g. `request-digest` or `lookup:acme`."""
        return hmac.digest(self._secret, purpose.encode() + b"\x01", hashlib.sha256)

    def tenant_lookup(self, tenant_id: str) -> bytes:
        """The tenant's lookup key: finds a value again without storing it."""
        return self.derive(f"lookup:{tenant_id}")

    def tenant_vault(self, tenant_id: str) -> bytes:
        """The tenant's vault key: without it a copy of the vault opens nothing and confirms no guess."""
        return self.derive(f"vault:{tenant_id}")

    def action(self, tenant_id: str) -> bytes:
        """The tenant's key of action digests."""
        return self.derive(f"action:{tenant_id}")

    @property
    def request_digest(self) -> bytes:
        """Key of the digests by which a request sent again is recognised."""
        return self.derive("request-digest")


def read_keys(lake: Lake) -> LakeKeys:
    """Read the lake's secret.

    Raises:
        CorruptionError: the file is absent or not what `make_lake` wrote.
    """
    file = lake.keys / "lake.json"
    try:
        content = json.loads(file.read_bytes())
        return LakeKeys(lake_id=content["lake_id"], _secret=bytes.fromhex(content["secret"]))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CorruptionError(
            f"{file}: expected a JSON object with lake_id and secret, got {type(exc).__name__}",
            hint="restore the file from the backup of the keys",
        ) from exc
