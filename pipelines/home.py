"""The folder that Dagster calls home, `LAKE/dagster`, and the three processes that `muniment up` runs over it. Imports no Dagster.

Code server, daemon and web server are three processes, so that definitions are loaded once: the other two ask the code server through a
Unix socket that nobody else may reach.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

from warehouse.durable import make_folder, replace_file
from warehouse.lake import Lake

FOLDER = "dagster"
LOCATION = "pipelines"
_SOCKET = "code.sock"
_ADDRESS_BYTES = 107
"""What a Unix socket's address holds."""


@dataclass(frozen=True)
class Home:
    """A folder that was made ready, and the code server's socket."""

    lake: Lake
    folder: Path
    socket: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment of the three processes."""
        return {
            "DAGSTER_HOME": str(self.folder),
            "MUNIMENT_LAKE": str(self.lake.path),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }

    def command(self, role: str, *more: str) -> tuple[str, ...]:
        """Command line of one process."""
        return (sys.executable, "-m", "pipelines.service", role, str(self.socket), *more)

    def commands(self, port: int, *, read_only: bool) -> Mapping[str, tuple[str, ...]]:
        """Command lines by service; the web server listens on `port` of this machine alone."""
        return {
            "code": self.command("code"),
            "daemon": self.command("daemon"),
            "web": self.command("web", str(port), *(("--read-only",) if read_only else ())),
        }


def home_folder(lake: Lake) -> Path:
    """Where a lake's scheduler keeps its own data."""
    return lake.path / FOLDER


@contextmanager
def ready_home(lake: Lake) -> Iterator[Home]:
    """Make the folder ready, mode 0700; safe to repeat. A socket whose path would be too long is put into a folder of its own.

    Raises:
        OSError: the disk refused.
    """
    folder = instance_home(lake)
    socket = folder / _SOCKET
    if len(bytes(socket)) <= _ADDRESS_BYTES:
        yield _written(Home(lake, folder, socket))
        return
    with tempfile.TemporaryDirectory(prefix="muniment-") as short:
        yield _written(Home(lake, folder, Path(short) / _SOCKET))


def instance_home(lake: Lake) -> Path:
    """The same folder with the instance's settings in it, for a process that runs nothing but its own; safe beside `muniment up`.

    Raises:
        OSError: the disk refused.
    """
    folder = home_folder(lake)
    make_folder(folder)
    folder.chmod(0o700)
    replace_file(folder / "dagster.yaml", instance_settings().encode())
    return folder


def instance_settings() -> str:
    """The `dagster.yaml` that comes with the package."""
    return resources.files("pipelines").joinpath("dagster.yaml").read_text(encoding="utf8")


def _written(home: Home) -> Home:
    workspace = {"load_from": [{"grpc_server": {"socket": str(home.socket), "location_name": LOCATION}}]}
    replace_file(home.folder / "workspace.yaml", yaml.safe_dump(workspace).encode())
    return home
