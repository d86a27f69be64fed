"""Policy as code, of whatever kind: files in `LAKE/policies/<kind>/`, in force once a principal has applied them."""

from warehouse.policies.applied import AppliedBundle, apply, current_hash, in_force
from warehouse.policies.bundle import Bundle, read_bundle, read_files, read_folder
from warehouse.policies.difference import Difference, compare
from warehouse.policies.errors import PolicyError, Problem

__all__ = [
    "AppliedBundle",
    "Bundle",
    "Difference",
    "PolicyError",
    "Problem",
    "apply",
    "compare",
    "current_hash",
    "in_force",
    "read_bundle",
    "read_files",
    "read_folder",
]
