"""What `muniment.yaml` may say about receivers and limits on input. Imports no server: every command reads settings."""

import ipaddress
from typing import Annotated

import msgspec

from collectors.exports import IntakeLimits
from warehouse.errors import SettingsError

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
_DAY_SECONDS = 86_400
_IMPORT_YEARS = 15


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds on input; a refusal names the one that it hit.

    `past_seconds` and `future_seconds` bound a record's own time around its receipt: outside, it goes to quarantine, so
    that an absurd time never makes a partition.
    """

    body_bytes: Positive = 16 * 1024 * 1024
    decompressed_bytes: Positive = 64 * 1024 * 1024
    attributes: Positive = 512
    # Each level is up to three messages deep, and protobuf reads a hundred.
    depth: Annotated[int, msgspec.Meta(ge=1, le=30)] = 16
    attribute_bytes: Positive = 1024 * 1024
    past_seconds: Positive = 7 * _DAY_SECONDS
    future_seconds: Positive = 3_600

    def limits(self) -> IntakeLimits:
        """The same bounds as the decoders take them."""
        return IntakeLimits(**msgspec.structs.asdict(self))


class ImportLimitsConfig(LimitsConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of a file import: history may be old."""

    past_seconds: Positive = _IMPORT_YEARS * 365 * _DAY_SECONDS


class ReceiversConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the receivers listen and how much they have in hand at once.

    Port 0 takes a free one. TLS is on for both protocols once `tls_cert_file` and `tls_key_file` are given (PEM);
    `tls_client_ca_file` then asks every client for a certificate by that authority. Keys travel in headers, so a host that
    is not a loopback address needs TLS, or `unsafe_plaintext` where something in front of it does TLS. `body_seconds` is how
    long a request's body may take to arrive.
    """

    host: str = "127.0.0.1"
    grpc_port: Port = 4317
    http_port: Port = 4318
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    tls_client_ca_file: str | None = None
    unsafe_plaintext: bool = False
    max_concurrent_requests: Positive = 1024
    max_concurrent_bytes: Positive = 256 * 1024 * 1024
    body_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0

    def check(self) -> None:
        """Check what one field says against the others.

        Raises:
            SettingsError: half of TLS, a client authority without TLS, or keys in the clear on a network.
        """
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise SettingsError("receivers: expected tls_cert_file and tls_key_file together, got one of them")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise SettingsError("receivers: expected tls_cert_file with tls_client_ca_file, got none")
        if self.tls_cert_file is None and not self.unsafe_plaintext and not _is_loopback(self.host):
            raise SettingsError(
                f"receivers: expected TLS for host {self.host}, which is not a loopback address, got none",
                hint="set tls_cert_file and tls_key_file, or unsafe_plaintext: true where a proxy in front does TLS",
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
