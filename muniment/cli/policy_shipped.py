"""`muniment policy shipped`, `adopt`: policies in force against those that this version ships, and taking these over."""

from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from muniment.adopting import Adopted
    from muniment.policy_kinds import PolicyKind
    from warehouse.policies.adoption import Adoption

MEANINGS = {
    "new": "ships with this version, was never in force here",
    "changed": "what is in force came with an older version",
    "no longer shipped": "came with an older version, and with this one no more",
    "own": "written here",
    "changed here": "the text in force is your own; adopting leaves it",
    "removed here": "taken out here; adopting leaves it out",
}
DiffOption = Annotated[bool, typer.Option("--diff", help="Also what adopting would change in the files, line by line.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register_shipped(group: typer.Typer) -> None:
    """Add the commands of this module to `muniment policy`."""
    group.command("shipped", epilog="Examples: muniment policy shipped\n\nmuniment policy shipped incidents --diff")(
        shipped
    )
    group.command("adopt", epilog="Example: muniment policy adopt incidents --yes")(adopt)


def shipped(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="One kind.", show_default="all")] = None,
    diff: DiffOption = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Say which policies in force differ from those that this version ships: new, changed, own, changed or removed here.

    A lake keeps the policies that it applied, whatever newer versions ship, until `policy adopt`.
    """
    from muniment.adopting import read_adoption
    from muniment.policy_kinds import KINDS, policy_kind
    from muniment.wiring import command_context

    context = command_context(lake)
    kinds = list(KINDS.values()) if kind is None else [policy_kind(kind)]
    found = [(each, read_adoption(context, each)) for each in kinds]
    if json_:
        print_json([adoption_json(each, adoption) for each, adoption in found])
        return
    for each, adoption in found:
        print_adoption(each, adoption, diff=diff, command=f"policy adopt {each.name}")


def adopt(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which kind of policy.")],
    yes: YesOption = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve, as a second principal, what another one asked for.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Take over the policies that this version ships, and keep your own: in force, in LAKE/policies/KIND, on record.

    Policies that were written, changed or removed here stay as they are. Recorded as `policy.changed`, like any applied policy;
    access waits for a second principal where two hold the right. Retention is shown by `policy shipped` and never adopted:
    no update shortens how long records are kept.
    """
    from muniment.policy_kinds import policy_kind

    take_over(policy_kind(kind), f"policy adopt {kind}", f"policy shipped {kind}", lake, yes, approve, json_)


def take_over(
    kind: "PolicyKind", command: str, shown_by: str, lake: LakeOption, yes: bool, approve: bool, json_: bool
) -> None:
    """Show what waits, ask, and adopt it: what `command` does, beside `shown_by`."""
    from muniment.adopting import adopt_shipped, read_adoption
    from muniment.wiring import command_context

    context = command_context(lake)
    found = read_adoption(context, kind)
    asks = found.waits and not kind.never_adopted
    if asks and not json_:
        print_adoption(kind, found, diff=True, command=command)
    if asks and not yes:
        if json_ or not on_terminal():
            raise InputError(
                f"{command}: expected --yes where nobody can be asked",
                hint=f"look at `muniment {shown_by} --diff` first",
            )
        typer.confirm("Put this in force?", abort=True, err=True)
    done = adopt_shipped(context, kind, approve=approve)
    if json_:
        asked = {"request": done.asked.id} if done.asked else {}
        print_json(adoption_json(kind, done.adoption) | {"applied": done.applied is not None} | asked)
    else:
        _print_done(kind, done)


def print_adoption(kind: "PolicyKind", found: "Adoption", *, diff: bool, command: str) -> None:
    """How each entry stands, with `diff` what adopting would change, and the `command` that adopts."""
    from warehouse.policies import compare
    from warehouse.policies.adoption import Standing

    counts = found.counts()
    console.print(f"{counts[Standing.SAME]:,} {found.noun} in force are those that this version ships")
    for standing, meaning in MEANINGS.items():
        for name in found.named(Standing(standing)):
            console.print(plain_text(f"  {name}: {standing} ({meaning})"), soft_wrap=True)
    if not found.waits:
        return
    if diff:
        typer.echo(compare(found.before, found.after).unified, nl=False)
    if kind.never_adopted:
        notes.print(f"none is taken over by a command: {kind.never_adopted}", markup=False, soft_wrap=True)
    else:
        notes.print(f"`muniment {command}` takes over what is new, changed or no longer shipped", markup=False)


def adoption_json(kind: "PolicyKind", found: "Adoption") -> dict[str, object]:
    """The same for programs."""
    from warehouse.policies import compare

    return {
        "kind": kind.name,
        "waits": found.waits,
        "adoptable": not kind.never_adopted,
        "in_force": found.before.content_hash,
        "adopted": found.after.content_hash,
        "entries": [
            {"group": group, "name": name or None, "standing": standing.value}
            for (group, name), standing in found.standings.items()
        ],
        "diff": compare(found.before, found.after).unified,
    }


def _print_done(kind: "PolicyKind", done: "Adopted") -> None:
    if done.asked is not None:
        console.print(
            f"{kind.name}: request {done.asked.id} waits for a second principal; what was in force still is",
            markup=False,
        )
        console.print(f"they run: muniment policy adopt {kind.name} --approve", markup=False)
    elif done.applied is None:
        console.print("nothing to adopt: everything that this version ships is in force, or was changed here")
    else:
        said = f"{kind.name}: revision {done.applied.revision} is in force ({done.applied.content_hash})"
        console.print(said, markup=False, soft_wrap=True)
