"""Questions that pages, commands and evidence packs share: a query session in, plain data out."""
