"""`muniment evidence controls`, `adopt`: what `muniment policy shipped controls` and `adopt controls` do, where officers look for it."""

import typer

from muniment.cli.output import JsonOption, LakeOption, print_json
from muniment.cli.policy_shipped import DiffOption, YesOption, adoption_json, print_adoption, take_over


def register_controls(group: typer.Typer) -> None:
    """Add the commands of this module to `muniment evidence`."""
    group.command("controls", epilog="Example: muniment evidence controls --diff")(controls)
    group.command("adopt", epilog="Example: muniment evidence adopt --yes")(adopt)


def controls(diff: DiffOption = False, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Say which controls in force differ from those that this version ships: new, changed, own, changed or removed here.

    A lake keeps the controls that it applied, whatever newer versions ship, until `evidence adopt`. `policy shipped` says the same
    of every kind of policy.
    """
    from muniment.adopting import read_adoption
    from muniment.policy_kinds import CONTROLS
    from muniment.wiring import command_context

    found = read_adoption(command_context(lake), CONTROLS)
    if json_:
        print_json(adoption_json(CONTROLS, found))
    else:
        print_adoption(CONTROLS, found, diff=diff, command="evidence adopt")


def adopt(yes: YesOption = False, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Take over the controls that this version ships, and keep your own: in force, in LAKE/policies/controls, on record.

    Controls that were written, changed or removed here stay as they are. Recorded as `policy.changed`, like any applied policy.
    """
    from muniment.policy_kinds import CONTROLS

    take_over(CONTROLS, "evidence adopt", "evidence controls", lake, yes, approve=False, json_=json_)
