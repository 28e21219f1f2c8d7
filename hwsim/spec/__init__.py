"""Names, units, errors: what every other wing stands on."""
