"""Units, one file each."""
