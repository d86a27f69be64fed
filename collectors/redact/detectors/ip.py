"""IPv4 and IPv6 addresses that may lead to a person or a place.

Addresses of machines among themselves say nothing of a person and stay: loopback, unspecified, private (RFC 1918, RFC 4193),
link-local, multicast and the broadcast address. Four numbers that are called a version are one.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from collectors.redact.context import Words
from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.folding import folded
from collectors.redact.overlap import without_overlaps

_V4 = re.compile(r"[0-9](?:(?<![\w.].)|(?<=\\[nrt].))[0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![\w]|\.\w|-\d)")
_V6 = re.compile(
    r"[0-9a-fA-F:](?:(?<![\w:.].)|(?<=\\[nrt].))(?:(?<=:)|(?=[0-9a-fA-F]{0,3}:))[0-9a-fA-F:]{2,38}"
    r"(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:]|\.\w)"
)
_VERSIONS = Words((r"v(?:ers(?:ion)?)?\.?[\"'\\]{0,3} ?[:=]? ?[\"'\\]{0,3}v?$", r"(?:release|build|firmware|section|§)[ :=\"']{0,3}$"),
                  before=16, after=0)  # fmt: skip
_PRODUCT = re.compile(r"[A-Za-z]/$")
_MACHINES_V4 = tuple(
    (int(network.network_address), int(network.netmask))
    for network in map(
        IPv4Network,
        ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4",
         "255.255.255.255/32"),
    )
)  # fmt: skip
_MACHINES_V6 = tuple(map(IPv6Network, ("::/127", "fc00::/7", "fe80::/10", "ff00::/8")))
_FEWEST_GROUPS = 2
_GROUPS = 8


def _find(text: str) -> Iterator[Match]:
    found = [Match(match.start(), match.end()) for match in _V4.finditer(text) if _is_person_v4(text, match)]
    if "::" in text or text.count(":") >= _GROUPS - 2:
        found += [Match(match.start(), match.end()) for match in _V6.finditer(text) if _is_person_v6(match[0])]
    yield from without_overlaps(found)


def _is_person_v4(text: str, match: re.Match[str]) -> bool:
    try:
        value = int(IPv4Address(match[0]))
    except AddressValueError:
        return False
    if any(value & mask == network for network, mask in _MACHINES_V4):
        return False
    start = match.start()
    return not _VERSIONS.before(text, start) and not _PRODUCT.search(text, max(0, start - 2), start)


def _is_person_v6(shown: str) -> bool:
    if "::" not in shown and shown.count(":") < _GROUPS - 2:
        return False
    groups = [group for group in shown.split(":") if group]
    if not _is_whole_v6(shown, len(groups)):
        return False
    try:
        address = IPv6Address(shown)
    except AddressValueError:
        return False
    return not any(address in network for network in _MACHINES_V6)


def _is_whole_v6(shown: str, groups: int) -> bool:
    """Whether it has the groups of an address; `a::b` is a name in C++ and Rust unless it holds a digit (RFC 4291 §2.2)."""
    if "::" not in shown:
        return groups == _GROUPS or (groups == _GROUPS - 1 and "." in shown)
    mapped = shown.lower().startswith("::ffff:")
    return (
        groups >= _FEWEST_GROUPS and shown[-1] != ":" and (shown[0] != ":" or mapped) and any(map(str.isdigit, shown))
    )


def _partial(value: str) -> str:
    if ":" in value:
        return ":".join(value.split(":")[:2]) + "::*"
    return value.rpartition(".")[0] + ".*"


IP = Detector(
    name="ip",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        r"\d\.\d{1,3}\.\d{1,3}\.\d",
        r"(?::[0-9a-f]{1,4}){6}:",
        r"[0-9a-f]::[0-9a-f]",
        r"::ffff:\d",
    ),
    find=folded(_find),
    partial=_partial,
    priority=60,
)
