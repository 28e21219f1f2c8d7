"""Element formats, one file per family; each offers ``parse(name) -> format or None``."""
