"""Schema revisions, oldest first. A revision that was released is never changed; the newest one's id is `schema.HEAD`."""
