"""Where a target is: an HTTP address, taken apart and checked. In clear text nothing leaves this machine unless somebody said so."""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Address:
    """An HTTP address. What messages show of it is `place`: a path may be a secret."""

    host: str
    port: int
    path: str
    tls: bool

    @classmethod
    def parse(cls, url: str, *, unsafe_plain_http: bool) -> Self:
        """Take a URL apart. The messages of its errors hold nothing of the URL.

        Raises:
            ValueError: no HTTP address, one with a user, query or fragment, or http to another machine without leave.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("url: expected https://HOST[:PORT][/PATH], got another") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise ValueError("url: expected https://HOST[:PORT][/PATH], got another")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("url: expected printable ASCII without blanks, got other characters")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url: expected no user, query or fragment, got one: a secret goes into secret_file")
        tls = parts.scheme == "https"
        if not (tls or unsafe_plain_http or is_loopback(parts.hostname)):
            raise ValueError(
                "url: expected https, or http to this machine, got http to another; unsafe_plain_http: true allows it"
            )
        return cls(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)

    @property
    def place(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
