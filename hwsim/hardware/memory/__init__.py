"""TODO owner writes one line here."""
