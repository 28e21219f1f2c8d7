"""Multipliers of minifloats; one file is one family (see :mod:`hwsim.formats.approximate`)."""
