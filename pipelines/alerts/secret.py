"""The secret of a target: read each time it is needed, so that a new one counts at once; shown nowhere."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import TargetUnavailableError
from warehouse.secret_text import ReadVariable, SecretTextError, read_secret_line


@dataclass(frozen=True)
class Secret:
    """A secret's text, kept out of every representation."""

    text: str = field(repr=False)

    def hide(self, shown: str) -> str:
        """`shown` with every occurrence of the secret, and of its longer parts, taken out."""
        for part in sorted({self.text, *self.text.split("/"), *self.text.split(":")}, key=len, reverse=True):
            if len(part) >= _LEAST_PART:
                shown = shown.replace(part, "***")
        return shown


_LEAST_PART = 6
NO_SECRET = Secret("")


def read_secret(target: TargetConfig, read_variable: ReadVariable) -> Secret:
    """Read the secret of a target; an empty one where its settings name none.

    Raises:
        TargetUnavailableError: it cannot be read, others may read its file, or it is not one line of printable text.
    """
    if target.secret_file is None and target.secret_variable is None:
        return NO_SECRET
    file = None if target.secret_file is None else Path(target.secret_file)
    try:
        return Secret(read_secret_line(file, target.secret_variable or "", read_variable))
    except SecretTextError as exc:
        where = f"variable {target.secret_variable}" if file is None else f"secret_file {target.secret_file}"
        raise TargetUnavailableError(f"target {target.name}: {where}: {exc}", hint=exc.hint) from exc.__cause__
