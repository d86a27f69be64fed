"""Pages for people who are no engineers: one question a page, thin over the functions that the command line asks too."""
