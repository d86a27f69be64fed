"""The SLOs that come with the package, as files. Apart from what compiles them, which needs a database: `status` only names them."""

from importlib.resources import files
from typing import Any

from warehouse.policies import Bundle, read_bundle
from warehouse.policies.blocks import Where
from warehouse.policies.family import document_family

KIND = "slo"


def default_bundle() -> Bundle:
    """The files that `init` puts in force."""
    entries = (files("pipelines.slo") / "default_policies").iterdir()
    return read_bundle(KIND, {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yaml")})


def _where(value: Any) -> Where:
    return str(value["kind"]), str(value["metadata"]["name"])


FAMILY = document_family(KIND, "SLO definitions", default_bundle, package="pipelines.slo", where_of=_where)
