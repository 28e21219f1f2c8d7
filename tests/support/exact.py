"""Rounding of exact numbers, from the definition."""

from __future__ import annotations

from fractions import Fraction


def round_fraction(exact: Fraction, fmt) -> float:
    """Round an exact value to nearest even in ``fmt``, from the definition."""
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent += size >= Fraction(2) ** (exponent + 1)
    exponent -= size < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, fmt.min_exponent) - fmt.mantissa_bits)
    rounded = round(size / unit) * unit  # Python rounds halves to even
    value = min(float(rounded), fmt.max_value)
    return value if exact > 0 else -value
