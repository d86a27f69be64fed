"""The one module that reads the process's environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path

LAKE_VARIABLE = "MUNIMENT_LAKE"
KEY_VARIABLE = "MUNIMENT_API_KEY"
DEFAULT_LAKE = Path("lake")


def lake_folder(option: Path | None) -> Path:
    """Folder of the lake: the command's option, else `$MUNIMENT_LAKE`, else `./lake`."""
    if option is not None:
        return option
    value = os.environ.get(LAKE_VARIABLE)
    return Path(value) if value else DEFAULT_LAKE


def api_key() -> str | None:
    """API key for commands that send, from `$MUNIMENT_API_KEY`: unlike an argument it is not shown in process lists."""
    return os.environ.get(KEY_VARIABLE) or None


def with_variables(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with other variables, for a child."""
    return {**os.environ, **more}


def variable(name: str) -> str | None:
    """The value of a variable that settings name, such as one that holds a target's secret; None where it is not set."""
    return os.environ.get(name)


def without_variable(name: str | None) -> dict[str, str]:
    """This process's environment without one variable, such as one that holds a secret; all of it for None."""
    return {key: value for key, value in os.environ.items() if key != name}
