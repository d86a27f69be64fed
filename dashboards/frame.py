"""What every page has: its title and one-sentence lead, the time of its data, a link that restores it, exports, and plain errors.

Texts of records are shown as text: in tables, in `st.text` or in code blocks, never as Markdown or HTML.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import NoReturn
from urllib.parse import urlencode

import altair as alt
import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import RerunException, StopException

from dashboards.desk import Desk
from dashboards.export import Export, csv_of, offer
from dashboards.landing import GOES_TO, Landing
from dashboards.viewer import Viewer
from dashboards.words import COST, blank, counted, shortened, worded
from warehouse.clock import NANOS_PER_SECOND, system_clock, utc_text
from warehouse.errors import DeniedError, InputError, MunimentError, NotFoundError

MOST_SHOWN = 5_000
_FORMS = {COST: "$%.4f", "duration (ms)": "%.1f", "record number": ""}
_NEXT = (
    "load the page again in a minute; if it says the same, show this to the operator, who sees with `muniment verify` whether "
    "something is damaged"
)
_log = logging.getLogger(__name__)
_ROW_PIXELS = 35
_YEARS = range(1970, 2200)
"""Years whose nanoseconds since 1970 fit 64 bits."""


def begin(title: str, lead: str, tenant: str) -> None:
    """Title, lead, and whose records of when these are."""
    st.title(title)
    st.markdown(lead)
    now = moment(system_clock())
    st.caption(f"Tenant **{tenant}** · data as of {now} UTC · the address of this page restores what you see")


@contextmanager
def explained(*, goes_on: bool = False) -> Iterator[None]:
    """Show what went wrong in the block: what happened, what it means, what to do next, and never a traceback.

    The page ends there, unless it `goes_on` with what stands beside the block. What no part of Muniment explains goes to the log of
    whoever runs the pages, under a number that the page shows.
    """
    try:
        yield
    except (StopException, RerunException):
        raise  # how Streamlit ends a run: nothing went wrong
    except DeniedError as exc:
        st.error("You may not see this.", icon=":material/lock:")
        st.text(str(exc) + (f"\n{exc.hint}" if exc.hint else ""))
    except (NotFoundError, InputError) as exc:
        st.warning(
            "There is no such thing here." if isinstance(exc, NotFoundError) else "What was asked for does not fit.",
            icon=":material/search_off:",
        )
        advice = exc.hint or "check the spelling, the tenant, and the link that led here"
        st.text(f"{exc}\nWhat to do: {advice.replace('`', '')}")
    except MunimentError as exc:
        st.error(
            "This cannot be shown now. Nothing was changed; whether records are damaged is what a verification says.",
            icon=":material/error:",
        )
        said, *details = str(exc).splitlines() or [""]
        st.text(f"{said}\nWhat to do: {(exc.hint or _NEXT).replace('`', '')}")
        if details:
            with st.expander("Details, for the operator"):
                st.code("\n".join(details), language=None)
    except Exception:  # noqa: BLE001 - whatever it is, people get words and the operator gets the traceback
        number = uuid.uuid4().hex[:8]
        _log.exception("page failed, number %s", number)
        st.error("This page failed, and shows nothing rather than half of an answer.", icon=":material/error:")
        st.text(
            f"Nothing was changed. What to do: load the page again; if it fails again, give the operator the number {number}, "
            "which stands in the log of the pages."
        )
    else:
        return
    if not goes_on:
        st.stop()


def show_rows(
    found: pa.Table | Sequence[Mapping[str, object]],
    name: str,
    *,
    empty: str,
    height: int | None = None,
    links: Mapping[str, Sequence[str | None]] = MappingProxyType({}),
    wide: Sequence[str] = (),
) -> None:
    """Rows as a table with its export, or, where there are none, what that means.

    Columns are named in the officer's words. `links` are columns of addresses of other pages, shown by what stands after their # and not exported. Columns in `wide` hold
    long texts: they get the same, readable width.
    """
    rows = worded(found if isinstance(found, pa.Table) else pa.Table.from_pylist(list(found)))
    if not rows.num_rows:
        st.info(empty, icon=":material/info:")
        return
    shown = shortened(blank(rows.slice(0, MOST_SHOWN)))
    for place, (label, addresses) in enumerate(links.items(), 1):
        shown = shown.add_column(place, label, pa.array([each or "" for each in addresses[:MOST_SHOWN]], pa.string()))
    st.dataframe(
        shown,
        width="stretch",
        hide_index=True,
        height=height if height is not None and rows.num_rows * _ROW_PIXELS > height else "auto",
        column_config={
            **{label: st.column_config.LinkColumn(display_text=r"#(.+)$") for label in links},
            **{label: st.column_config.TextColumn(width="medium") for label in wide},
            **{name: st.column_config.NumberColumn(format=form) for name, form in _forms(rows).items()},
        },
    )
    if rows.num_rows > MOST_SHOWN:
        st.caption(f"The first {MOST_SHOWN:,} of {rows.num_rows:,} rows; the export has all.")
    desk, viewer, tenant = desk_of()
    offer(
        desk,
        viewer,
        tenant,
        f"Export {counted(rows.num_rows, 'row')} as CSV",
        Export(f"{name}.csv", "text/csv", rows.num_rows, lambda: csv_of(rows)),
    )


def choice(label: str, options: list[str], key: str, *, default: str | None = None) -> str:
    """One of `options`, kept in the page's address under `key` where it is not the usual one.

    Each part that an address gets is one more step of the browser's way back.
    """
    usual = default or options[0]
    wanted = st.query_params.get(key, usual)
    chosen = st.selectbox(label, options, index=options.index(wanted) if wanted in options else 0, key=f"choice-{key}")
    if chosen != usual or key in st.query_params:
        st.query_params[key] = chosen
    return chosen


def line(label: str, key: str, *, help_: str = "", placeholder: str = "") -> str:
    """A line of text, kept in the page's address under `key`."""
    given = st.text_input(
        label, st.query_params.get(key, ""), key=f"line-{key}", help=help_ or None, placeholder=placeholder or None
    )
    if given:
        st.query_params[key] = given
    elif key in st.query_params:
        del st.query_params[key]
    return given


def day(label: str, key: str, default: date | None = None, *, place: DeltaGenerator | None = None) -> date | None:
    """A day, kept in the page's address under `key`."""
    wanted = day_of(st.query_params.get(key)) or default
    given = (place or st).date_input(label, wanted, key=f"day-{key}")
    if isinstance(given, date):
        st.query_params[key] = given.isoformat()
    elif key in st.query_params:
        del st.query_params[key]
    return given if isinstance(given, date) else None


def day_of(text: str | None) -> date | None:
    """The day that an address names; None for what is none, or none of those of which there can be records."""
    try:
        named = date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return named if named is not None and named.year in _YEARS else None


def nanos(day: date, *, days: int = 0) -> int:
    """When a day begins, or the one so many days later, UTC: nanoseconds since 1970."""
    start = datetime.combine(day + timedelta(days=days), time(), UTC)
    return int(start.timestamp()) * NANOS_PER_SECOND


def number_of(text: str | None, default: int, least: int, most: int) -> int:
    """The number that an address names, within bounds; the default for what is none."""
    is_one = text is not None and text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    return min(max(least, int(text) if is_one and text is not None else default), most)


def go_to(page: str, **filters: str) -> NoReturn:
    """Lead to another page of this tenant, with these filters."""
    _, _, tenant = desk_of()
    kept = {"tenant": tenant, **filters}
    st.session_state[GOES_TO] = Landing(page, {name: [value] for name, value in kept.items()})
    st.rerun()


def story_links(rows: pa.Table, tenant: str) -> list[str]:
    """Where the whole story of each record stands, by its `shard` and `log_index`; as a column it shows the word *story*."""
    return [
        f"/search?{urlencode({'tenant': tenant, 'find': f'{shard}/{index}'})}#story"
        for shard, index in zip(rows.column("shard").to_pylist(), rows.column("log_index").to_pylist(), strict=True)
    ]


def run_links(rows: pa.Table, tenant: str) -> list[str | None]:
    """Where the run of each record stands, by its `trace_id`; as a column it shows the word *open*."""
    return [
        f"/trace?{urlencode({'tenant': tenant, 'trace': trace_id})}#open" if trace_id else None
        for trace_id in rows.column("trace_id").to_pylist()
    ]


def boxes(count: int) -> Iterator[DeltaGenerator]:
    """So many boxes, two beside each other and alike in height; on a narrow screen below each other."""
    for place in range(0, count, 2):
        for column in st.columns(2)[: count - place]:
            yield column.container(border=True, height="stretch")


def chart_data(values: Sequence[Mapping[str, object]]) -> alt.InlineData:
    """Rows for a chart, in the page itself: nothing is fetched."""
    return alt.InlineData(values=[dict(each) for each in values])


def moment(unix_nano: int) -> str:
    """A time as people read it, UTC."""
    return utc_text(unix_nano)[:19].replace("T", " ") if unix_nano else "never"


def desk_of() -> tuple[Desk, Viewer, str]:
    """Who answers, who looks, and at which tenant: put there by `app` before any page runs."""
    return st.session_state["desk"], st.session_state["viewer"], st.session_state["tenant"]


def _forms(rows: pa.Table) -> dict[str, str]:
    """How numbers are written: money with its sign, counts in groups of three; a record's number is no count."""
    counts = {field.name: "localized" for field in rows.schema if pa.types.is_integer(field.type)}
    return {name: form for name, form in {**counts, **_FORMS}.items() if name in rows.column_names and form}
