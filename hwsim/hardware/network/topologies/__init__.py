"""One file per topology; each registers itself."""
