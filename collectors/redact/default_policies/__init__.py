"""Redaction policies that come with the package; `muniment init` copies them into the lake and puts them in force."""
