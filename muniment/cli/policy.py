"""`muniment policy check|diff|apply|show|history` (and `shipped|adopt`, in `policy_shipped`): policy as code, in force once applied."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, plain_text, print_json
from muniment.cli.policy_shipped import register_shipped
from warehouse.errors import InputError

if TYPE_CHECKING:
    from muniment.policies import Pending
    from muniment.wiring import CommandContext
    from warehouse.control import RequestRecord
    from warehouse.policies import AppliedBundle, Bundle, Problem

EXIT_NO = 1
DEFAULT_KIND = "redaction"

Kind = Annotated[str, typer.Argument(metavar="KIND", help="Which kind of policy.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="Policy as code: what lies in LAKE/policies is in force once applied.", no_args_is_help=True
    )
    group.command(
        "check", epilog="Examples: muniment policy check\n\nmuniment policy check redaction drafts/bank.yaml"
    )(check)
    group.command("diff", epilog="Example: muniment policy diff redaction")(diff)
    group.command("apply", epilog="Example: muniment policy apply redaction --yes")(apply_)
    group.command("show", epilog="Example: muniment policy show redaction --applied")(show)
    group.command("history", epilog="Example: muniment policy history redaction --json")(history)
    register_shipped(group)
    app.add_typer(group, name="policy")


def check(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND] [FILE…]", help="A kind, files of that kind (or of redaction), or nothing for all."
        ),
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what is wrong with policies before anybody applies them: exit code 0 for nothing, 1 for something.

    Without files, the folders LAKE/policies/KIND are checked. Files are checked together, as one folder would be, and need no
    lake.
    """
    problems: list[Problem] = []
    checked: list[Bundle] = []
    for bundle, found in _checked(words or [], lake):
        problems += found
        if bundle is not None:
            checked.append(bundle)
    if json_:
        print_json({"ok": not problems, "problems": [_problem_json(problem) for problem in problems]})
    else:
        _print_problems(problems)
        if not problems:
            for bundle in checked:
                console.print(
                    f"{bundle.kind}: {_counted(bundle)} fine ({bundle.content_hash})", markup=False, soft_wrap=True
                )
    raise typer.Exit(EXIT_NO if problems else 0)


def diff(kind: Kind = DEFAULT_KIND, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Compare what is in force with the folder: a unified diff, and in words what would change for whom."""
    pending = _pending(_reading_context(lake), kind)
    if json_:
        print_json(_pending_json(pending))
        return
    _print_pending(pending)


def apply_(
    kind: Kind = DEFAULT_KIND,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    approve: Annotated[
        bool,
        typer.Option("--approve", help="Approve, as a second principal, the very files that another one asked for."),
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Put the folder's files in force: checked, shown, recorded as `policy.changed`, then applied.

    Running collectors take it over within seconds. Nothing is done where the folder is what is in force already. A change of
    retention waits for a second principal where two hold the right.
    """
    from governance.access import Action
    from muniment.policy_approval import put_in_force
    from muniment.policy_kinds import policy_kind
    from muniment.wiring import command_context
    from warehouse.control import RequestRecord
    from warehouse.policies import PolicyError

    context = command_context(lake)
    context.check(Action.POLICY_APPLY)
    pending = _pending(context, kind)
    if pending.problems:
        raise PolicyError(pending.problems)
    if not pending.differs:
        if json_:
            print_json(_pending_json(pending) | {"applied": False})
        else:
            console.print(
                f"{kind}: nothing to apply: the folder is what is in force ({pending.old_hash})", markup=False
            )
        return
    if not json_:
        _print_pending(pending)
    if not yes:
        _confirm(pending, json_=json_)
    applied = put_in_force(context, policy_kind(kind), pending.new, replacing=pending.old_hash, approve=approve)
    if isinstance(applied, RequestRecord):
        _show_request(pending, applied, json_=json_)
        return
    if json_:
        print_json(_pending_json(pending) | {"applied": True, "revision": applied.revision})
        return
    taken = (
        f"; running collectors use it within {context.settings.policy_poll_seconds:g} s" if kind == DEFAULT_KIND else ""
    )
    console.print(
        f"{kind}: revision {applied.revision} is in force ({applied.content_hash}){taken}",
        markup=False,
        soft_wrap=True,
    )


def _show_request(pending: "Pending", request: "RequestRecord", *, json_: bool) -> None:
    if json_:
        print_json(_pending_json(pending) | {"applied": False, "request": request.id})
        return
    console.print(
        f"{pending.kind}: request {request.id} waits for a second principal; what was in force still is", markup=False
    )
    console.print(f"they run: muniment policy apply {pending.kind} --approve", markup=False)


def show(
    kind: Kind = DEFAULT_KIND,
    applied: Annotated[bool, typer.Option("--applied", help="What is in force instead of the folder.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Print the policy files of a kind: those of the folder, or with --applied those in force."""
    from muniment.policy_kinds import policy_kind
    from warehouse.policies import in_force, read_folder

    context = _reading_context(lake)
    known = policy_kind(kind)
    if applied:
        found = in_force(context.control, kind)
        bundle = known.defaults() if found is None else found.bundle
        source = "in force because none was applied" if found is None else _since(found)
    else:
        bundle, source = read_folder(context.lake, kind), str(context.lake.policies / kind)
    if json_:
        print_json({"kind": kind, "hash": bundle.content_hash, "source": source, "files": dict(bundle.files)})
        return
    notes.print(f"{kind} {bundle.content_hash}: {source}", markup=False, soft_wrap=True)
    for name, text in bundle.files.items():
        console.print(f"# -- {name}", markup=False)
        typer.echo(text, nl=not text.endswith("\n"))


def history(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="One kind.", show_default="all")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List every policy that was put in force, newest first: when, by whom, and its hash."""
    from muniment.policy_kinds import policy_kind
    from warehouse.clock import utc_text

    context = _reading_context(lake)
    found = context.control.policy_history(None if kind is None else policy_kind(kind).name)
    rows = [
        {
            "kind": each.kind,
            "revision": each.revision,
            "hash": each.hash,
            "applied": utc_text(each.applied_unix_nano),
            "by": each.applied_by,
        }
        for each in found
    ]
    if json_:
        print_json(rows)
        return
    if not rows:
        console.print("no policy was applied: what comes with the package holds")
    for row in rows:
        line = f"{row['applied']}  {row['kind']} revision {row['revision']}  {row['hash']}  by {row['by']}"
        console.print(plain_text(line), soft_wrap=True)


def _checked(words: list[str], lake: Path | None) -> "Iterator[tuple[Bundle | None, tuple[Problem, ...]]]":
    """Each bundle that was asked for, None where its files are no text, with what is wrong with it."""
    from muniment.policies import find_problems
    from muniment.policy_kinds import KINDS, policy_kind
    from warehouse.policies import PolicyError, read_files, read_folder

    kinds, files = _kinds_and_files(words)
    context = None if files else _reading_context(lake)
    for kind in [policy_kind(name) for name in kinds or ([DEFAULT_KIND] if files else KINDS)]:
        try:
            bundle = read_files(kind.name, files) if context is None else read_folder(context.lake, kind.name)
        except PolicyError as exc:
            yield None, exc.problems
        else:
            yield bundle, find_problems(kind, bundle)


def _kinds_and_files(words: list[str]) -> tuple[list[str], list[Path]]:
    """The first word may be a kind; every other one is a file."""
    from muniment.policy_kinds import KINDS

    kinds = words[:1] if words and words[0] in KINDS else []
    files = [Path(word) for word in words[len(kinds) :]]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"policy check: expected a kind ({', '.join(KINDS)}) or a file, got {str(file)!r}",
                hint="without either, every folder in LAKE/policies is checked",
            )
    return kinds, files


def _reading_context(lake: Path | None) -> "CommandContext":
    from governance.access import Action
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.POLICY_READ)
    return context


def _pending(context: "CommandContext", kind: str) -> "Pending":
    from muniment.policies import read_pending
    from muniment.policy_kinds import policy_kind

    return read_pending(context.lake, context.control, policy_kind(kind))


def _confirm(pending: "Pending", *, json_: bool) -> None:
    if json_ or not on_terminal():
        raise InputError(
            f"policy apply {pending.kind}: expected --yes where nobody can be asked",
            hint=f"look at `muniment policy diff {pending.kind}` first",
        )
    typer.confirm("Put this in force?", abort=True, err=True)


def _print_pending(pending: "Pending") -> None:
    typer.echo(pending.difference.unified, nl=False)
    if not pending.differs:
        console.print(
            f"{pending.kind}: the folder is what is in force ({pending.old_hash})", markup=False, soft_wrap=True
        )
        return
    console.print(f"{pending.kind}: {pending.difference.summary()}", markup=False, soft_wrap=True)
    if pending.old is None:
        console.print("  nothing was applied before: what comes with the package holds", markup=False)
    for change in pending.changes:
        console.print(plain_text(f"  {change}"), soft_wrap=True)
    if not pending.changes and not pending.problems:
        console.print("  no decision changes", markup=False)
    _print_problems(pending.problems)


def _print_problems(problems: "tuple[Problem, ...] | list[Problem]") -> None:
    for problem in problems:
        console.print(plain_text(str(problem)), soft_wrap=True)


def _problem_json(problem: "Problem") -> dict[str, object]:
    return {"file": problem.file, "line": problem.line, "key": problem.key, "message": problem.message}


def _pending_json(pending: "Pending") -> dict[str, object]:
    return {
        "kind": pending.kind,
        "old_hash": pending.old_hash,
        "new_hash": pending.new.content_hash,
        "differs": pending.differs,
        "diff": pending.difference.unified,
        "changes": list(pending.changes),
        "problems": [_problem_json(problem) for problem in pending.problems],
    }


def _counted(bundle: "Bundle") -> str:
    return f"{len(bundle.files)} file{'' if len(bundle.files) == 1 else 's'}"


def _since(found: "AppliedBundle") -> str:
    from warehouse.clock import utc_text

    return f"revision {found.revision}, applied {utc_text(found.applied_unix_nano)} by {found.applied_by}"
