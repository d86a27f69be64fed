"""The SLOs that come with the package, as files. Apart from what compiles them, which needs a database: `status` only names them."""

from importlib.resources import files

from warehouse.policies import Bundle, read_bundle

KIND = "slo"


def default_bundle() -> Bundle:
    """The files that `init` puts in force."""
    entries = (files("pipelines.slo") / "default_policies").iterdir()
    return read_bundle(KIND, {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yaml")})
