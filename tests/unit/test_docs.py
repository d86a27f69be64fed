"""The documentation against the code: nothing missing, nothing that does not exist, no link that leads nowhere."""

import importlib
import importlib.util
import re
import shlex
import types
import typing
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import typer

from collectors.costs import default_price_files
from muniment.cli.app import app
from muniment.settings import MunimentConfig
from pipelines.slo.shipped import default_bundle as slo_bundle
from retention.policy_compiler import default_bundle, example_files
from warehouse.catalogue import CATALOGUE, OWN_NAMES, OWN_PREFIXES
from warehouse.derived.tables import DERIVED
from warehouse.errors import MunimentError
from warehouse.tables import TABLES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
]
PACKAGES = ("muniment", "collectors", "warehouse", "retention", "governance", "pipelines")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(muniment [^`]+)`")
URL = re.compile(r"https?://[^\s\"'`)<>,{}]+")
FOREIGN_PATHS = re.compile(r"(?<![\w.])/(work|root|home|Users)/")
HOSTS = ("127.0.0.1", "localhost", "[::1]", "example.org", "example.com", "example.net")


def page_ids(pages=PAGES):
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


def reference(name):
    return (REFERENCE / name).read_text(encoding="utf8")


def generator():
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["tables.md", "commands.md", "errors.md", "access.md", "incident-rules.md"])
def test_pages_read_off_the_code_are_up_to_date(name):
    """`make docs` would change nothing."""
    assert reference(name) == generator().pages()[name], "run `make docs` and commit what it writes"


def settings(struct=MunimentConfig, prefix=""):
    """Every setting as (dotted name, field); sections are walked, not listed."""
    hints = typing.get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        kind = hints[field.name]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from settings(kind, f"{prefix}{field.name}.")
            continue
        yield f"{prefix}{field.name}", field, kind
        entries = "[]" if typing.get_origin(kind) is list else ""
        for entry in typing.get_args(kind) if entries or isinstance(kind, types.UnionType) else ():
            if not (isinstance(entry, type) and issubclass(entry, msgspec.Struct)):
                continue
            yield from settings(entry, f"{prefix}{field.name}{entries}.")


def type_text(kind):
    """A setting's type as the page writes it."""
    if typing.get_origin(kind) is typing.Annotated:
        base, meta = typing.get_args(kind)
        bound = ""
        if meta.ge is not None:
            bound = f", {meta.ge:g} to {meta.le:g}" if meta.le is not None else f", {meta.ge:g} or more"
        elif meta.gt is not None:
            bound = f", over {meta.gt:g}"
        return type_text(base) + bound
    if isinstance(kind, types.UnionType):
        kind = next(each for each in typing.get_args(kind) if each is not type(None))
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{each}`" for each in typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "mapping"
    names = {int: "integer", float: "number", str: "text", bool: "boolean", dict: "mapping", list: "list"}
    return names[typing.get_origin(kind) or kind]


def default_text(field):
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value in (None, {}, []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize(("name", "field", "kind"), [pytest.param(*each, id=each[0]) for each in settings()])
def test_every_setting_is_documented(name, field, kind):
    """Each setting has a row with its type, its bounds, its default as the code has it, and a meaning."""
    rows = [line for line in reference("settings.md").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1, f"docs/reference/settings.md: expected one row for {name}, got {len(rows)}"
    _, _, kind_cell, default, meaning, *_ = (cell.strip() for cell in rows[0].split("|"))
    assert default == default_text(field)
    assert meaning
    written = kind_cell.replace("path", "text")
    # bounds that are checked after reading (`__post_init__`) stand in the page and not in the type
    assert written == type_text(kind) or (name.startswith("maintenance.") and written.startswith(type_text(kind)))


def test_no_setting_is_documented_that_does_not_exist():
    """Rows of the settings page name settings."""
    known = {name for name, _, _ in settings()} | {"MUNIMENT_LAKE", "MUNIMENT_API_KEY"}
    rows = {
        match[1] for line in reference("settings.md").splitlines() if (match := re.match(r"\| `([\w.\[\]]+)` \|", line))
    }
    assert rows == known


def test_maintenance_bounds_are_those_documented():
    """The least values that maintenance accepts are those of the page."""
    for line in reference("settings.md").splitlines():
        if match := re.match(r"\| `maintenance\.(\w+)` \| \w+, (\d+) or more", line):
            name, least = match[1], int(match[2])
            msgspec.convert({"maintenance": {name: least}}, MunimentConfig)
            with pytest.raises(msgspec.ValidationError, match=name):
                msgspec.convert({"maintenance": {name: least - 1}}, MunimentConfig)


def test_every_table_and_column_is_documented():
    """Each table has a heading, each column a row."""
    text = reference("tables.md")
    for table in (TABLES | DERIVED).values():
        assert f"\n## {table.name}\n" in text
        for column in table.columns:
            assert f"| `{column.name}` |" in text, f"{table.name}.{column.name}"


def error_modules():
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if re.search(r"^class \w+Error\(", file.read_text(encoding="utf8"), re.MULTILINE):
                yield ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_every_error_is_documented():
    """Each public error class of the product has a row, wherever it is defined."""
    text = reference("errors.md")
    found = set()
    for module in error_modules():
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, type) and issubclass(value, MunimentError) and not name.startswith("_"):
                found.add(name)
    assert len(found) > 20
    assert not [name for name in sorted(found) if f"| `{name}` |" not in text]


def test_every_audit_event_is_documented():
    """Each name of the catalogue has one row, and no row names another; reserved names are listed."""
    text = reference("audit-events.md")
    events = text[text.index("## What applications record") :]
    rows = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", events, re.MULTILINE)
    assert sorted(rows) == sorted(CATALOGUE)
    design = (ROOT / "docs" / "design" / "overview.md").read_text(encoding="utf8")
    for page in (text, design):
        assert not [prefix for prefix in OWN_PREFIXES if f"`{prefix}`" not in page]
    own = text[text.index("## What Muniment records") :]
    assert not [name for name in OWN_NAMES if f"| `{name}` |" not in own]


def test_default_policies_are_documented():
    """Each policy file that `init` writes is named."""
    assert not [name for name, _ in default_price_files() if name not in reference("settings.md")]
    retention = [*default_bundle().files, *example_files()]
    assert len(retention) > 5
    assert not [name for name in retention if f"`{name}`" not in reference("policies.md")]
    slos = list(slo_bundle().files)
    assert len(slos) > 15
    assert not [name for name in slos if f"`{name}`" not in reference("policies.md")]


@cache
def command_tree():
    return typer.main.get_command(app)


def stated_commands(page):
    """Each `muniment …` of a page: lines of code blocks, and inline code."""
    text = page.read_text(encoding="utf8")
    for language, block in FENCE.findall(text):
        if language not in {"", "sh", "bash", "console"}:
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            for part in re.split(r"&&|\|(?!\w)|;", line.split(" # ")[0].split("  #")[0]):
                if match := re.match(r"(?:\$ )?(?:sudo -u \w+ )?(?:[A-Z_]+=\S+ )*(muniment .+)", part.strip()):
                    yield match[1].strip()
    yield from INLINE.findall(FENCE.sub("", text))


def check_command(stated):
    """Say what is wrong with a stated command; None when it exists with these options."""
    try:
        words = shlex.split(stated.replace("[", " ").replace("]", " "))[1:]
    except ValueError as exc:
        return str(exc)
    command = command_tree()
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] in {"…", "COMMAND"}:
            return None
        if words[0] not in command.commands:
            return f"no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    options = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((f"no option {option}" for option in options if option not in known), None)


@pytest.mark.parametrize("page", page_ids())
def test_commands_in_documents_exist(page):
    """No document names a command or an option that the command line does not have."""
    wrong = {stated: problem for stated in stated_commands(page) if (problem := check_command(stated))}
    assert not wrong


def test_a_command_that_does_not_exist_is_found():
    """The check above does find what it looks for."""
    assert check_command("muniment sql 'select 1' --tenant acme") is None
    assert check_command("muniment vanish --tenant acme") == "no command 'vanish'"
    assert check_command("muniment key issue acme --scope x") == "no option --scope"


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in FENCE.sub("", page.read_text(encoding="utf8")).splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", page_ids())
def test_links_lead_somewhere(page):
    """Each relative link names a file that is there, and a heading that is in it."""
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf8"))):
        if urlsplit(link).scheme:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", page_ids())
def test_pages_name_no_machine(page):
    """No page names a folder of somebody's machine, or a host other than loopback and the reserved examples."""
    text = page.read_text(encoding="utf8")
    assert not FOREIGN_PATHS.findall(text)
    hosts = {urlsplit(url).netloc.rpartition("@")[2] for url in URL.findall(text)}
    names = {re.sub(r":\w+$", "", host) for host in hosts}
    assert not [name for name in names if not name.endswith(HOSTS) and "." in name]


def test_every_page_is_reachable():
    """Each page can be reached by links from the README."""
    seen, open_pages = set(), [ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf8")))
        open_pages += [(page.parent / link).resolve() for link in links if link and not urlsplit(link).scheme]
    assert not [str(page.relative_to(ROOT)) for page in PAGES if page.resolve() not in seen]
