"""Which columns a set of keys can fill: the alias tables, compiled to arrays that index by key code."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.dialects.aliases import AUDIT_COLUMNS, EVENT_COLUMNS, RESOURCE_COLUMNS, SPAN_COLUMNS, Alias, Form
from collectors.dialects.readers import Reader, reader

_Entry = tuple[int, int, Reader | None]


class Roles:
    """An alias table, looked up by key: which columns (by number) it fills, at which precedence, through what reader."""

    def __init__(self, table: dict[str, tuple[Form, tuple[Alias, ...]]]) -> None:
        self.columns = {name: number for number, name in enumerate(table)}
        self.forms = tuple(form for form, _ in table.values())
        self.by_key: dict[str, list[_Entry]] = {}
        for number, (_, aliases) in enumerate(table.values()):
            for rank, alias in enumerate(aliases):
                read = reader(alias.reader) if alias.reader else None
                self.by_key.setdefault(alias.key, []).append((number, rank, read))


SPAN_ROLES = Roles(SPAN_COLUMNS)
AUDIT_ROLES = Roles(AUDIT_COLUMNS)
RESOURCE_ROLES = Roles(RESOURCE_COLUMNS)
EVENT_ROLES = Roles(EVENT_COLUMNS)
NO_ROLES = Roles({})


@dataclass(frozen=True, slots=True)
class KeyRoles:
    """Roles of each key code.

    `layers` hold (column, rank) arrays by code, -1 where the key fills nothing; a key that fills two columns stands in
    two layers. `read` lists (code, (column, rank, reader)) for keys whose values go through a reader.
    """

    roles: Roles
    layers: tuple[tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]], ...]
    read: tuple[tuple[int, tuple[int, int, Reader]], ...]


def roles_of_keys(keys: tuple[str, ...], roles: Roles) -> KeyRoles:
    """Look up the roles of every key."""
    direct: list[list[tuple[int, int, int]]] = []
    read: list[tuple[int, tuple[int, int, Reader]]] = []
    for code, key in enumerate(keys):
        layer = 0
        for column, rank, read_value in roles.by_key.get(key, ()):
            if read_value is not None:
                read.append((code, (column, rank, read_value)))
                continue
            if layer == len(direct):
                direct.append([])
            direct[layer].append((code, column, rank))
            layer += 1
    layers = []
    for entries in direct:
        column_of = np.full(len(keys), -1, np.int16)
        rank_of = np.zeros(len(keys), np.uint8)
        for code, column, rank in entries:
            column_of[code] = column
            rank_of[code] = rank
        layers.append((column_of, rank_of))
    return KeyRoles(roles, tuple(layers), tuple(read))
