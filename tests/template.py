"""Lakes that tests change, each kind made once a process and copied: `muniment init` alone costs as much as ten commands.

All copies of a lake share its keys: a test of two lakes that must not know each other makes one of them itself.
"""

import functools
import json
import shutil
import tempfile
from pathlib import Path

from muniment.cli.app import run
from warehouse.birth import birth_unix_nano

_ROOMS = []


def init_lake(folder, *tenants):
    """Make a lake as `init` and a `tenant add` for each of the tenants leave it; returns its folder."""
    return copy_lake(_initial(tenants), folder)


def made_once(make, folder):
    """Make a lake by `make`, which fills the folder that it is given, a function of a module; returns the lake's folder."""
    return copy_lake(_made(make), folder)


def copy_lake(source, folder):
    """Copy a lake that no process uses, so that its shards go on in the copy as if they had been written there."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.sock"))
    for file in Path(folder).glob("journal/*/identity"):
        identity = json.loads(file.read_bytes())
        binding = {"inode": file.stat().st_ino, "birth_unix_nano": birth_unix_nano(file)}
        with file.open("r+") as stream:  # in place: another file would have another inode
            stream.write(json.dumps(identity | binding))
            stream.truncate()
    return Path(folder)


@functools.cache
def _initial(tenants):
    folder = room() / "lake"
    if not tenants:
        assert run(["init", "--lake", str(folder)]) == 0
    else:
        init_lake(folder, *tenants[:-1])
        assert run(["tenant", "add", tenants[-1], "--lake", str(folder)]) == 0
    return folder


@functools.cache
def _made(make):
    folder = room() / "lake"
    make(folder)
    return folder


def room():
    """Make a folder that goes when the tests have ended."""
    _ROOMS.append(Path(tempfile.mkdtemp(prefix="muniment-lake-")))
    return _ROOMS[-1]


def clear_rooms():
    """Remove all of them."""
    while _ROOMS:
        shutil.rmtree(_ROOMS.pop(), ignore_errors=True)
