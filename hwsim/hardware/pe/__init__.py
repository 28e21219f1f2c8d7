"""Processing elements: bills of parts with bit-exact behaviour."""

from __future__ import annotations

from hwsim.hardware.pe.base import PE, Reason, Scaling
from hwsim.hardware.pe.pairing import Pairing, kv_format, pairing, pe_options
from hwsim.hardware.pe.registry import PES, make_pe
from hwsim.hardware.technology import PartsPrice, Technology


def price_pe(pe: PE, technology: Technology) -> PartsPrice:
    """Return the cost of ``pe`` in ``technology`` per cycle, part by part."""
    return technology.price_parts(pe.parts(), glitch_family=pe.glitch_family)


__all__ = ["PE", "PES", "Pairing", "Reason", "Scaling", "kv_format", "make_pe", "pairing", "pe_options", "price_pe"]
