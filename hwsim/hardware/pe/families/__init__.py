"""PE families, one file each."""
