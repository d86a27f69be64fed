"""Public keys that a verifier brings along on the command line: as text, or as files with one a line (`#` begins a comment).

What cannot be read as a key ends the command (exit 2) before anything is judged: it is never taken for "not proved".
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from warehouse.errors import InputError, MunimentError

if TYPE_CHECKING:
    from warehouse.ledger.cosignature import WitnessVerifier

_Key = TypeVar("_Key")
_SHOWN_CHARACTERS = 80

LOG_HINT = "`muniment ledger vkey` prints the keys of a lake; get them from its operator by a way that you trust"
WITNESS_HINT = "`muniment witness key` prints a witness's key; get it from the witness, not from the lake"


def read_keys(given: Sequence[str], read: Callable[[str], _Key], option: str, *, hint: str = LOG_HINT) -> list[_Key]:
    """Keys of all arguments of an option, in order; `read` makes one key of one line.

    Raises:
        InputError: neither a key nor a file of keys; the message names option, argument and line.
    """
    return [
        _read_key(line, read, f"{option} {_shown(argument)}{where}", hint)
        for argument in given
        for where, line in _lines(argument, f"{option} {_shown(argument)}", hint)
    ]


def check_quorum(required: int, witnesses: "Sequence[WitnessVerifier]") -> None:
    """Check that as many witnesses as are required were given: one that goes by two names is one.

    Raises:
        InputError: fewer were given.
    """
    distinct = {key.public_key for key in witnesses}
    if required > len(distinct):
        raise InputError(
            f"--require-witness {required}: expected as many --witness keys, got {len(distinct)}",
            hint="get the keys from the witnesses: those found in a lake prove nothing",
        )


def _lines(argument: str, what: str, hint: str) -> list[tuple[str, str]]:
    """Texts of the keys in an argument, each with the line it stands on."""
    if not argument.strip():
        raise InputError(f"{what}: expected a key name+id+key or a file of such, got nothing", hint=hint)
    try:
        content = Path(argument).read_text(encoding="utf8")
    except (FileNotFoundError, NotADirectoryError) as exc:
        if "+" not in argument:
            raise InputError(f"{what}: expected a key name+id+key or a file of such, got neither", hint=hint) from exc
        return [("", argument.strip())]
    except UnicodeDecodeError as exc:
        raise InputError(f"{what}: expected a file of keys, one a line, got bytes that are no text", hint=hint) from exc
    except (OSError, ValueError) as exc:
        # A name that no file can have, or a folder; a key as text is neither: it is short and has no NUL.
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise InputError(f"{what}: expected a key name+id+key or a file of such, got: {reason}", hint=hint) from exc
    numbered = enumerate(content.splitlines(), 1)
    lines = [(f", line {number}", line.strip()) for number, line in numbered if line.strip()]
    lines = [(where, line) for where, line in lines if not line.startswith("#")]
    if not lines:
        raise InputError(f"{what}: expected a file of keys, one a line, got one without a key", hint=hint)
    return lines


def _read_key(text: str, read: Callable[[str], _Key], what: str, hint: str) -> _Key:
    try:
        return read(text)
    except MunimentError as exc:
        raise InputError(f"{what}: expected a key name+id+key or a file of such: {exc}", hint=hint) from exc


def _shown(argument: str) -> str:
    return argument if len(argument) <= _SHOWN_CHARACTERS else f"{argument[:_SHOWN_CHARACTERS]}…"
