"""The vault of subjects: who stands behind a token, for as long as that may be known."""

from warehouse.subjects.opening import open_lake_vault
from warehouse.subjects.tokens import is_token, normal_form
from warehouse.subjects.vault import SubjectKey, SubjectVault

__all__ = ["SubjectKey", "SubjectVault", "is_token", "normal_form", "open_lake_vault"]
