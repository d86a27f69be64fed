"""What a scheduled job acts with on one lake: who it is, what is opened for a call, and what of an error may leave it.

Invariant: what leaves a job, results and errors alike, may be stored by the scheduler: ids, counts, hashes, and messages that passed redaction.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from governance.access import Access
from muniment.settings import read_settings
from muniment.wiring import CommandContext
from pipelines.errors import JobError
from warehouse.clock import Clock, system_clock
from warehouse.errors import MunimentError
from warehouse.lake import Lake
from warehouse.names import LAKE_TENANT
from warehouse.principals import Principal, PrincipalKind

PRINCIPAL = Principal(PrincipalKind.JOB, "dagster")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True)
class LakeWork:
    """Opens a context for each call and closes it again, so an object may be kept for long."""

    lake: Lake
    clock: Clock = system_clock

    def now(self) -> int:
        """Nanoseconds since 1970."""
        return self.clock()

    def lock_file(self, name: str) -> Path:
        """The lock of a kind of job."""
        return self.lake.run / f"job-{name}.lock"

    @contextmanager
    def context(self, what: str) -> Iterator[CommandContext]:
        """What a job acts with; whatever it raises becomes a `JobError` without values of records."""
        try:
            settings = read_settings(self.lake)
            access = Access.for_lake(self.lake.path, settings.users)
        except (MunimentError, OSError) as exc:
            raise JobError(
                f"{what}: {type(exc).__name__}", hint="`muniment status` says what is wrong with the settings"
            ) from None
        context = CommandContext(self.lake, settings, access, PRINCIPAL, self.clock)
        try:
            yield context
            context.decisions.record_with([])
        except MunimentError as exc:
            raise JobError(f"{what}: {safe_text(context, str(exc))}", hint=exc.hint) from None
        except Exception as exc:  # noqa: BLE001 - what it says is not known to be free of values, so only its place is kept
            raise JobError(f"{what}: {type(exc).__name__} {_place(exc)}") from None
        finally:
            if "control" in vars(context):
                context.control.close()


def safe_text(context: CommandContext, text: str) -> str:
    """A message as the policy in force lets it be kept; nothing of it where that cannot be asked."""
    try:
        return context.redactor.redact_text(LAKE_TENANT, text)
    except Exception:  # noqa: BLE001 - nothing is stored that was not redacted, whatever failed
        return "its message is not kept, as redaction is not available"


def _place(exc: BaseException) -> str:
    """Module and line where something was raised."""
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else f"in {last.tb_frame.f_globals.get('__name__')}, line {last.tb_lineno}"


def without_values(context: CommandContext, text: str) -> str:
    """What went wrong with a query, without what an engine quotes of the values that it met, as the policy lets it be kept."""
    return safe_text(context, _QUOTED.sub("'…'", text.partition("\n")[0]))
