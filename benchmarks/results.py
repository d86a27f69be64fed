"""A measured figure, the bar that it is held to, and how both are shown."""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_HOLDS: dict[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge}


@dataclass(frozen=True)
class Figure:
    """One measured value. `bar` is what it is held to, None where it only informs; `sense` is `≤` or `≥`."""

    benchmark: str
    name: str
    value: float
    unit: str
    bar: float | None = None
    sense: str = "≤"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        return None if self.bar is None else _HOLDS[self.sense](self.value, self.bar)


def show(figures: Sequence[Figure]) -> None:
    """Print figures as a table."""
    table = Table("benchmark", "figure", "measured", "bar", "", "note", title_justify="left")
    for figure in figures:
        verdict = {True: "[green]met[/]", False: "[red]MISSED[/]", None: ""}[figure.met]
        bar = "" if figure.bar is None else f"{figure.sense} {figure.bar:g}"
        table.add_row(figure.benchmark, figure.name, f"{figure.value:,.4g} {figure.unit}", bar, verdict, figure.note)
    Console().print(table)


def save(file: Path, figures: Sequence[Figure], machine: dict[str, Any]) -> None:
    """Write figures and machine as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "figures": [asdict(figure) | {"met": figure.met} for figure in figures]}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
