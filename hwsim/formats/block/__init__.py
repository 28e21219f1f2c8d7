"""Formats whose elements share something: a scale, a special value, an exponent; one file per family."""
