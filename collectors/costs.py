"""What a model call cost, in millionths of a US dollar.

The sender's own figure wins. Otherwise a price list decides: policies/prices/*.yaml, by provider, model and the day of the
call. A call that no list covers has no cost: it is NULL and counted, never 0. One US dollar a million tokens is one
microdollar a token, so prices multiply tokens directly; the result is rounded half to even.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from warehouse.errors import SettingsError

_SCALE = 1_000_000
"""Prices are kept as whole millionths of a microdollar a token, so that integer arithmetic is exact."""
_MOST_CACHED = 256
_MOST_PRICE = 1_000 * _SCALE
MOST_TOKENS = 10**9
"""Calls above this have no list price: no model takes so many tokens, and the product stays within 64 bits."""
_FIELDS = frozenset({"provider", "model", "valid_from", "input", "output", "cache_read"})
PRICED_OPERATIONS: frozenset[str | None] = frozenset(
    {None, "chat", "text_completion", "generate_content", "embeddings"}
)
"""Operations that are one model call. Others (`invoke_agent`, …) sum up calls below them: pricing both would count twice."""


@dataclass(frozen=True)
class Price:
    """Prices of one model from a day on, in millionths of a microdollar a token; `output` None for embeddings.

    `model` ending in `*` is a prefix. `source` is what `cost_source` says.
    """

    provider: str
    model: str
    valid_from: date
    input: int
    output: int | None
    cache_read: int
    source: str

    def covers(self, provider: str, model: str) -> bool:
        """Whether this price is about that model."""
        if provider != self.provider:
            return False
        return model.startswith(self.model[:-1]) if self.model.endswith("*") else model == self.model


class PriceBook:
    """All price lists of a lake."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self.prices = tuple(prices)
        self._find = lru_cache(maxsize=4096)(self._search)

    @classmethod
    def load(cls, folder: Path) -> "PriceBook":
        """Read every `*.yaml` of a folder (none gives an empty book).

        Raises:
            SettingsError: a file is not a price list; the message names file and entry.
        """
        return cls(
            price for path in sorted(folder.glob("*.yaml")) for price in read_prices(path.name, path.read_bytes())
        )

    @classmethod
    def default(cls) -> "PriceBook":
        """The example price lists that come with the package."""
        return cls(price for name, content in default_price_files() for price in read_prices(name, content))

    def find(self, provider: str, model: str, day: date) -> Price | None:
        """The price in force that day: the newest entry of the most specific pattern, an exact name before prefixes."""
        find = self._find if len(provider) + len(model) <= _MOST_CACHED else self._search
        return find(provider, model, day)

    def _search(self, provider: str, model: str, day: date) -> Price | None:
        covering = [price for price in self.prices if price.valid_from <= day and price.covers(provider, model)]
        return max(
            covering,
            key=lambda price: (not price.model.endswith("*"), len(price.model), price.valid_from),
            default=None,
        )


def default_price_files() -> list[tuple[str, bytes]]:
    """Name and content of each price list in the package, for `muniment init` to copy."""
    folder = files("collectors") / "default_prices"
    return sorted((entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_prices(name: str, content: bytes) -> list[Price]:
    """Parse one price list; `name` is for messages.

    Raises:
        SettingsError: not a mapping with a list `prices`, an unknown or missing field, or a price that is no number.
    """
    source = "price:" + hashlib.sha256(content).hexdigest()[:12]
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as exc:
        raise SettingsError(f"{name}: expected YAML: {exc}") from exc
    if not isinstance(document, dict) or set(document) != {"prices"} or not isinstance(document["prices"], list):
        raise SettingsError(f"{name}: expected a mapping with one key, `prices`, that holds a list")
    return [_price(f"{name}: prices[{number}]", entry, source) for number, entry in enumerate(document["prices"])]


def _price(where: str, entry: Any, source: str) -> Price:
    if not isinstance(entry, dict) or not {"provider", "model", "valid_from", "input"} <= set(entry) <= _FIELDS:
        raise SettingsError(
            f"{where}: expected provider, model, valid_from and input, and perhaps output and cache_read, got {entry!r}"
        )
    valid_from = entry["valid_from"]
    if not isinstance(valid_from, date):
        raise SettingsError(f"{where}: valid_from: expected a date such as 2026-01-31, got {valid_from!r}")
    uncached = _scaled(where, "input", entry["input"])
    return Price(
        provider=str(entry["provider"]),
        model=str(entry["model"]),
        valid_from=valid_from,
        input=uncached,
        output=_scaled(where, "output", entry["output"]) if "output" in entry else None,
        cache_read=_scaled(where, "cache_read", entry["cache_read"]) if "cache_read" in entry else uncached,
        source=source,
    )


def _scaled(where: str, field: str, value: Any) -> int:
    try:
        price = Decimal(str(value)) * _SCALE
    except InvalidOperation as exc:
        raise SettingsError(f"{where}: {field}: expected US dollars a million tokens, got {value!r}") from exc
    if isinstance(value, bool) or not price.is_finite() or not 0 <= price <= _MOST_PRICE or price != int(price):
        raise SettingsError(f"{where}: {field}: expected 0 to 1000 with at most 6 decimals, got {value!r}")
    return int(price)


def sender_costs(amounts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Microdollars, rounded half to even, of US dollars; NaN stays.

    The first rounding takes away what binary fractions add: 0.0000125 dollars are 12.5 microdollars, not 12.4999….
    """
    return np.rint(np.round(amounts * 1e6, 6))


def list_costs(
    prices: npt.NDArray[np.int64],
    uncached: npt.NDArray[np.int64],
    cached: npt.NDArray[np.int64],
    output: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Microdollars of calls, rounded half to even.

    `prices` has a row (input, cache_read, output) for each call; the other arguments are tokens, at most `MOST_TOKENS`.
    """
    total = uncached * prices[:, 0] + cached * prices[:, 1] + output * prices[:, 2]
    whole: npt.NDArray[np.int64] = total // _SCALE
    rest = total % _SCALE
    half = _SCALE // 2
    rounded: npt.NDArray[np.int64] = whole + ((rest > half) | ((rest == half) & (whole % 2 == 1)))
    return rounded
