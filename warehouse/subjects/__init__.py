"""The vault of subjects: who stands behind a token, for as long as that may be known."""
