"""Policy as code, of whatever kind: files in `LAKE/policies/<kind>/`, in force once a principal has applied them."""

from warehouse.policies.bundle import Bundle, read_bundle, read_files, read_folder
from warehouse.policies.errors import PolicyError, Problem

__all__ = ["Bundle", "PolicyError", "Problem", "read_bundle", "read_files", "read_folder"]
