"""Methods of special-function units, one file each."""
