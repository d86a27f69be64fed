"""Which agents are there, who answers for them, what were they seen doing, what was changed, and where did which data go?"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, show_rows, story_links
from dashboards.words import counted

_DAYS = {"7 days": 7, "30 days": 30, "90 days": 90}
_LONG = (
    "beyond its registration", "models registered", "models seen", "tools registered", "tools seen", "providers registered",
    "providers seen", "purpose",
)  # fmt: skip
_ORDER = ("restricted", "confidential", "internal", "public")
"""Classes of data, strictest first; others follow."""


_LONGEST = 300


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Agents",
        "Who answers for each agent, what it was seen doing, which changes were approved, and where which data went.",
        tenant,
    )
    days = _DAYS[choice("Seen within", list(_DAYS), "seen", default="30 days")]
    with explained(), st.spinner("Reading the registry and what was seen…"):
        registered, seen = desk.agents(viewer, tenant, days)
    rows = side_by_side(registered, seen)
    _differences(registered, seen, rows)
    st.header("Registered, and seen")
    show_rows(
        rows,
        f"agents-{tenant}",
        empty="No agent is registered, and none was seen in this time. The operator adds them with `muniment agent register` or "
        "`muniment agent import`; choose a longer time above.",
        height=420,
        wide=_LONG,
    )
    st.header("Where which data went")
    with explained(goes_on=True), st.spinner("Reading every step that reached a provider…"):
        _data_map(desk.data_map(viewer, tenant, days), tenant, days)
    st.header("What was changed")
    with explained(goes_on=True), st.spinner("Looking for each change's approval…"):
        _changes(desk.changes(viewer, tenant, days), tenant)


def side_by_side(registered: pa.Table, seen: pa.Table) -> list[dict[str, object]]:
    """A row an agent: what the registry says of it, beside what it was seen doing, and what of that the registry does not allow.

    A registration that names no models, providers or tools allows all, and its names are patterns, as the rules of incidents take them.
    """
    profiles = {str(row["agent"]): row for row in registered.to_pylist()}
    observed = {str(row["agent"]): row for row in seen.to_pylist()}
    rows = []
    for agent in sorted({*profiles, *observed}, key=lambda each: (each in profiles, each)):
        profile, acts = profiles.get(agent, {}), observed.get(agent, {})
        rows.append({
            "agent": agent,
            "name": profile.get("name") or acts.get("name"),
            "state": profile.get("state") or "not registered",
            "owner": profile.get("owner"),
            "last_seen": acts.get("last_seen"),
            "runs": acts.get("runs"),
            "errors": acts.get("errors"),
            "beyond its registration": ", ".join(_beyond(profile, acts)),
            "versions seen": _listed(acts.get("versions")),
            "models registered": profile.get("models"),
            "models seen": _listed(acts.get("models")),
            "tools registered": profile.get("tools"),
            "tools seen": _listed(acts.get("tools")),
            "providers registered": profile.get("providers"),
            "providers seen": _listed(acts.get("providers")),
            "data_classes": _listed(acts.get("data_classes")),
            "risk class": profile.get("risk class"),
            "on call": profile.get("on call"),
            "purpose": profile.get("purpose"),
        })  # fmt: skip
    return rows


def _beyond(profile: Mapping[str, object], acts: Mapping[str, object]) -> list[str]:
    """What an agent used and its registration does not allow."""
    found = []
    for kind, used in (("models", "models_asked"), ("providers", "providers"), ("tools", "tools")):
        allowed = [each for each in str(profile.get(kind) or "").split(", ") if each]
        names = acts.get(used)
        if allowed and isinstance(names, list):
            found += [name for name in names if not any(fnmatchcase(name, each) for each in allowed)]
    return found


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else ""


def _differences(registered: pa.Table, seen: pa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Who was seen without being registered, and the other way round; and which of `rows`, an agent each, went beyond a registration."""
    known = {str(row["agent"]) for row in registered.to_pylist()}
    observed = {str(row["agent"]) for row in seen.to_pylist()}
    if unknown := sorted(observed - known):
        st.warning(f"{counted(len(unknown), 'agent')} seen and not registered", icon=":material/person_alert:")
        st.text(", ".join(unknown[:30]))
    beyond = [row for row in rows if row["beyond its registration"]]
    if beyond:
        st.warning(f"{counted(len(beyond), 'agent')} used what the registration does not allow", icon=":material/rule:")
        st.text("\n".join(f"{row['agent']}: {row['beyond its registration']}"[:_LONGEST] for row in beyond[:30]))
    if silent := sorted(known - observed):
        st.info(f"{counted(len(silent), 'agent')} registered and not seen in this time", icon=":material/volume_off:")
        st.text(", ".join(silent[:30]))
    if known and known == observed and not beyond:
        st.success(
            f"All {counted(len(known), 'agent')} that were seen are registered, all registered ones were seen, and none went beyond its registration.",
            icon=":material/check_circle:",
        )


def _data_map(found: pa.Table, tenant: str, days: int) -> None:
    """One question with its answer, and the map that it is read from."""
    if not found.num_rows:
        st.info("No step of this time reached a provider of models.", icon=":material/info:")
        return
    classes = sorted(
        {*_ORDER, *found.column("data_class").to_pylist()},
        key=lambda each: (_ORDER.index(each) if each in _ORDER else len(_ORDER), each),
    )
    providers = sorted(set(found.column("provider").to_pylist()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = choice("Did data of this class", classes, "class")
        provider = choice("reach this provider?", providers, "provider")
    here = found.filter(pc.equal(found.column("provider"), provider))
    reached = here.filter(pc.equal(here.column("data_class"), kind))
    steps, all_steps = pc.sum(reached.column("spans")).as_py() or 0, pc.sum(here.column("spans")).as_py() or 0
    if steps:
        st.warning(
            f"Yes: {counted(steps, 'step')} of the last {days} days. The newest of each agent is below, with its record number.",
            icon=":material/priority_high:",
        )
    else:
        unknown = here.filter(pc.equal(here.column("data_class"), "not known"))
        loose = pc.sum(unknown.column("spans")).as_py() or 0
        said = f"none of the {counted(all_steps, 'step')} that reached this provider in the last {days} days is of this class"
        if loose:
            st.warning(
                f"Can't be established: {said}, but of {loose:,} the class is not known. Have the operator see whether redaction is switched on.",
                icon=":material/help:",
            )
        else:
            st.success(
                f"No: {said}. Each of them has a record number, so a missing one would be missed (Integrity).",
                icon=":material/check_circle:",
            )
    show_rows(
        found,
        f"data-map-{tenant}",
        empty="",
        links={"story": story_links(found, tenant)},
    )


def _changes(found: pa.Table, tenant: str) -> None:
    """Each change with its approval, or with what is wrong with it."""
    wrong = found.num_rows - (pc.sum(found.column("approved")).as_py() or 0)
    if wrong:
        st.error(
            f"{counted(wrong, 'change')} of {found.num_rows:,} without a valid approval. Decide on them on the page Evidence, SOC 2, CC8.1.",
            icon=":material/error:",
        )
    elif found.num_rows:
        st.success(
            f"{counted(found.num_rows, 'change')}, each approved before it by somebody else.",
            icon=":material/check_circle:",
        )
    show_rows(
        found,
        f"changes-{tenant}",
        empty="No change of a prompt, model, tool, agent or release was recorded in this time.",
        links={"story": story_links(found, tenant)},
    )
