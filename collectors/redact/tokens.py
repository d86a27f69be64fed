"""Tokens of persons for one group of records: asked of the vault at once, not value by value.

A new person costs the vault a durable transaction. So values are looked up in a book first; what it lacks is noted, the text is
treated again once the vault has answered for all of them together. While the vault is out of reach, values are masked.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from warehouse.errors import UnavailableError
from warehouse.subjects.tokens import is_token

_MOST_VALUE = 1_024
"""Characters of a value that can name a person; a longer one is no id and is masked."""


class Vault(Protocol):
    """Where tokens come from: `warehouse.subjects.SubjectVault`. MAY be called from several threads."""

    def tokens(self, tenant_id: str, values: Sequence[str]) -> list[str]:
        """A token for each value, durable before this returns; `UnavailableError` where the vault cannot be reached."""
        ...

    def known(self, tenant_id: str, tokens: Iterable[str]) -> set[str]:
        """Which of these texts are tokens of this tenant already; `UnavailableError` as above."""
        ...


class TokenBook:
    """Tokens known for one group. `missing` says that some were asked for that are not known yet."""

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault
        self._known: dict[tuple[str, str], str | None] = {}
        self._wanted: dict[str, dict[str, None]] = {}
        self.out_of_reach = False
        """Whether the vault did not answer when it was asked."""
        self.asked = 0
        """How often a token was asked for that was not known yet."""

    @property
    def missing(self) -> bool:
        """Whether `fetch` has something to ask for."""
        return bool(self._wanted)

    def find(self, tenant: str, value: str) -> str | None:
        """The token of a value; None where it is to be masked, or is only known after `fetch`."""
        if len(value) > _MOST_VALUE:
            return None
        try:
            return self._known[tenant, value]
        except KeyError:
            self._wanted.setdefault(tenant, {})[value] = None
            self.asked += 1
            return None

    def fetch(self) -> None:
        """Ask the vault for all that was missing; what it does not answer is masked."""
        wanted, self._wanted = self._wanted, {}
        for tenant, values in wanted.items():
            names = list(values)
            try:
                tokens: Sequence[str | None] = self._ask(tenant, names)
            except UnavailableError:
                tokens, self.out_of_reach = [None] * len(names), True
            self._known.update(((tenant, name), token) for name, token in zip(names, tokens, strict=True))

    def _ask(self, tenant: str, names: list[str]) -> list[str]:
        if self._vault is None:
            raise UnavailableError("no vault is open")
        # a record that comes again, from quarantine or another lake's export, may hold this tenant's tokens: they stay
        ours = self._vault.known(tenant, given) if (given := [name for name in names if is_token(name)]) else set()
        others = [name for name in names if name not in ours]
        made = dict(zip(others, self._vault.tokens(tenant, others), strict=True)) if others else {}
        return [made.get(name, name) for name in names]
