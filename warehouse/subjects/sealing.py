"""Keys of one tenant's subjects: finding a value again without storing it, its token, and the value sealed for `reveal`.

Two secrets are needed for everything but finding: the vault's row holds 32 random bytes of key material, and the lake's
secret (`LAKE/keys/lake.json`) turns them into keys. So a copy of the vault alone opens nothing and confirms no guess, and
the lake's secret alone does neither once the row is gone. Keys are HMAC-SHA256 over a label and the material (the expand
step of HKDF, RFC 5869 §2.3); the seal is AES-256-GCM (NIST SP 800-38D) under a key that seals one value.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from warehouse.errors import CorruptionError
from warehouse.keys import LakeKeys
from warehouse.subjects.tokens import token_of, value_bytes

MATERIAL_BYTES = 32
NONCE_BYTES = 12
_KEY_ID_HEX = 32


@dataclass(frozen=True)
class TenantKeys:
    """What one tenant's subjects are found and sealed with."""

    tenant_id: str
    _lookup: bytes = field(repr=False)
    _vault: bytes = field(repr=False)

    @classmethod
    def of(cls, keys: LakeKeys, tenant_id: str) -> Self:
        """The keys of a tenant of this lake."""
        return cls(tenant_id, keys.tenant_lookup(tenant_id), keys.tenant_vault(tenant_id))

    def lookup(self, value: str) -> bytes:
        """Under which 32 bytes a value in its normal form is found."""
        return hmac.digest(self._lookup, value_bytes(value), hashlib.sha256)

    def token(self, material: bytes, value: str) -> str:
        """The value's token under the subject key that this material makes."""
        return token_of(self._derive(b"token", material), value)

    def seal(self, material: bytes, token: str, value: str, nonce: bytes) -> bytes:
        """The value encrypted, bound to its tenant and token."""
        return nonce + self._cipher(material).encrypt(nonce, value_bytes(value), self._bound_to(token))

    def open(self, material: bytes, token: str, sealed: bytes) -> str:
        """The value that was sealed.

        Raises:
            CorruptionError: the row was altered, or belongs to another lake's secret, tenant or token.
        """
        try:
            opened = self._cipher(material).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._bound_to(token))
        except (InvalidTag, ValueError) as exc:
            raise CorruptionError(
                f"vault: {token} of tenant {self.tenant_id}: expected a value sealed under this lake's secret, got one "
                "that does not open",
                hint="the row was altered, or the vault and keys/lake.json are not of one backup: put back the right ones",
            ) from exc
        return opened.decode("utf-8", "surrogatepass")

    def _cipher(self, material: bytes) -> AESGCM:
        return AESGCM(self._derive(b"seal", material))

    def _derive(self, label: bytes, material: bytes) -> bytes:
        return hmac.digest(self._vault, label + b"\x00" + material, hashlib.sha256)

    def _bound_to(self, token: str) -> bytes:
        return f"{self.tenant_id}\x00{token}".encode()


def key_id(material: bytes) -> str:
    """Public name of a subject key: a digest of its 256 random bits, which leads neither to the key nor to its token."""
    return hashlib.sha256(b"muniment subject key\x00" + material).hexdigest()[:_KEY_ID_HEX]
