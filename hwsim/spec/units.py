"""Quantities with units, at the YAML boundary only: ``512 KiB``, ``25.6 GB/s``, ``0.7 pJ/bit``, ``28nm``.

Inside hwsim a quantity is a plain number in its base unit. Conversion is exact: a size is a whole
number of bytes or refused. ``K M G`` are decimal (SI), ``Ki Mi Gi`` binary (IEC 80000-13); case
matters, because mW is not MW and Gbit is not GB. A plain number is in the base unit where that is what anyone
would mean (bytes, hertz, bytes per second, volts, nanometres of a node, kelvin) and is large enough; times, lengths,
areas, powers and energies need their unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from hwsim.spec.errors import UsageError, did_you_mean, shown

#: Largest whole quantity: what a signed 64-bit integer of a table or database holds.
MAX_WHOLE = 2**63 - 1

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(\S.*?)?\s*")
_BARE = re.compile(rf"\s*{_NUMBER}\s*")
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


#: Nothing is so large that it needs no unit.
ALWAYS = math.inf


@dataclass(frozen=True, eq=False)
class Dimension:
    """A kind of quantity; used as ``Annotated[float, FREQUENCY]`` in a spec.

    Parameters
    ----------
    noun
        What messages call it, with its article (``"a size"``).
    base
        The base unit, in which a plain number counts.
    units
        The factor from each unit to the base unit, in the order that messages list them.
    also
        Rarer units and other spellings: accepted, but not listed by messages.
    whole
        Whether only whole numbers of the base unit exist; values are then ``int``.
    example
        Shown to editors and in messages.
    offsets
        Units that count from elsewhere: what is added to them to be in the base unit.
    least_bare
        A number without a unit below this one is refused: its unit was forgotten. :data:`ALWAYS` refuses all.
    """

    noun: str
    base: str
    units: Mapping[str, Fraction]
    example: str
    also: Mapping[str, Fraction] = field(default_factory=dict)
    whole: bool = False
    least_bare: float = 0
    offsets: Mapping[str, Fraction] = field(default_factory=dict)

    def parse(self, value: object) -> int | float:
        """Return ``value`` in the base unit, correctly rounded (exact if :attr:`whole`).

        Raises
        ------
        UsageError
            If it is no quantity of this kind, not finite, not above zero, or not whole.
        """
        if type(value) is int and self.whole and 0 < value <= MAX_WHOLE:
            return value
        if isinstance(value, str):
            return self._parse_text(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
            raise UsageError(f"{shown(value)} is not {self.noun}; {self._expected()}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{shown(value)} is not {self.noun}; it must be finite")
        return self._checked(Fraction(value), value, bare=True)

    def exact(self, text: str) -> Fraction:
        """Return the quantity written in ``text`` in the base unit, of either sign and exact.

        Raises
        ------
        UsageError
            If it is no number with a unit of this kind.
        """
        match = _QUANTITY.fullmatch(text)
        if match is None:
            raise UsageError(f"{shown(text)} is not {self.noun}; {self._expected()}")
        number, unit = match[1], match[2] or self.base
        if unit in self.offsets:
            return Fraction(number) + self.offsets[unit]
        factor = self.factor(unit)
        if factor is None:
            valid = did_you_mean(unit, [*self.units, *self.offsets], ordered=True)
            raise UsageError(f"{shown(text)} is not {self.noun}; write a number and a unit, {valid}")
        return Fraction(number) * factor

    def factor(self, unit: str) -> Fraction | None:
        """Return what one ``unit`` is in the base unit, or None if it measures something else."""
        unit = unit.translate(_MICRO)
        return self.units.get(unit) or self.also.get(unit)

    @lru_cache(maxsize=1024)  # noqa: B019 - dimensions are module constants
    def _parse_text(self, text: str) -> int | float:
        return self._checked(self.exact(text), text, bare=_BARE.fullmatch(text) is not None)

    def _checked(self, exact: Fraction, value: object, bare: bool) -> int | float:
        if exact <= 0:
            raise UsageError(f"{shown(value)} must be > 0")
        if bare and exact < self.least_bare:
            raise UsageError(f"{shown(value)} has no unit and would be in {self.base}; {self._expected()}")
        if self.whole:
            if exact.denominator != 1:
                raise UsageError(f"{shown(value)} is not a whole number of {_NAMES.get(self.base, self.base)}")
            if exact > MAX_WHOLE:
                raise UsageError(f"{shown(value)} is too large for {self.noun}")
            return exact.numerator
        try:
            rounded = float(exact)
        except OverflowError:
            rounded = math.inf
        if not 0 < rounded < math.inf:
            raise UsageError(f"{shown(value)} is too {'large' if rounded else 'small'} for {self.noun}")
        return rounded

    def _expected(self) -> str:
        return (
            f"write a number and a unit, valid: {', '.join([*self.units, *self.offsets])}, for example {self.example}"
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        micro = [f"µ{unit[1:]}" for unit in self.units if unit[0] == "u"]
        spellings = "|".join([*self.units, *self.also, *micro])
        number = r"[0-9.]+([eE][-+]?[0-9]+)?\s*"
        below = rf"|[-+]?{number}({'|'.join(self.offsets)})" if self.offsets else ""
        least = {"minimum": self.least_bare} if self.least_bare else {"exclusiveMinimum": 0}
        plain = {"type": "integer" if self.whole else "number", **least}
        optional = "" if self.least_bare == ALWAYS else "?"
        text = {"type": "string", "pattern": rf"^\s*(\+?{number}({spellings}){optional}{below})\s*$"}
        return {"anyOf": [plain, text] if optional else [text], "examples": [self.example]}


_NAMES = {"B": "bytes"}

_DECIMAL = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


def _si(unit: str, prefixes: str, base_exponent: int = 0) -> dict[str, Fraction]:
    """Return ``{prefix + unit: factor}`` for prefixes separated by blanks (``-`` is none)."""
    names = [p.strip("-") for p in prefixes.split()]
    return {f"{p}{unit}": Fraction(10) ** (_DECIMAL[p] - base_exponent) for p in names}


_BYTES = {
    "B": Fraction(1),
    **{f"{p}iB": Fraction(1024) ** n for n, p in enumerate("KMG", 1)},
    **{f"{p}B": Fraction(1000) ** n for n, p in enumerate("KMG", 1)},
    "bit": Fraction(1, 8),
}
_ALSO_BYTES = {
    "kB": Fraction(1000),
    "TB": Fraction(1000) ** 4,
    "TiB": Fraction(1024) ** 4,
    **{f"{p}bit": Fraction(1000) ** n / 8 for n, p in enumerate("kMG", 1)},
    **{f"{p}ibit": Fraction(1024) ** n / 8 for n, p in enumerate("KMG", 1)},
}
_PER_BIT = _si("J/bit", "f p n", base_exponent=-12)

SIZE = Dimension(
    noun="a size",
    base="B",
    units=_BYTES,
    also={**_ALSO_BYTES, "byte": Fraction(1), "bytes": Fraction(1), "bits": Fraction(1, 8)},
    whole=True,
    example="512 KiB",
)
FREQUENCY = Dimension("a frequency", "Hz", _si("Hz", "- k M G T"), "1 GHz", least_bare=10**6)
_LISTED_RATES = {**_BYTES, "TB": _ALSO_BYTES["TB"], "Gbit": _ALSO_BYTES["Gbit"]}
BANDWIDTH = Dimension(
    noun="a bandwidth",
    base="B/s",
    units={f"{u}/s": f for u, f in _LISTED_RATES.items()},
    also={
        **{f"{u}/s": f for u, f in _ALSO_BYTES.items() if u not in _LISTED_RATES},
        **{f"{p}bps": _ALSO_BYTES[f"{p}bit"] for p in "kMG"},
    },
    example="25.6 GB/s",
    least_bare=10**6,
)
ENERGY_PER_BIT = Dimension(
    noun="an energy per bit",
    base="pJ/bit",
    units={**_PER_BIT, **{u.replace("bit", "B"): f / 8 for u, f in _PER_BIT.items()}},
    also={u.replace("bit", "b"): f for u, f in _PER_BIT.items()},
    example="0.7 pJ/bit",
    least_bare=ALWAYS,
)
VOLTAGE = Dimension("a voltage", "V", _si("V", "- m"), "0.9 V")
POWER = Dimension("a power", "W", _si("W", "- m u n k"), "5 mW", least_bare=ALWAYS)
AREA = Dimension(
    "an area",
    "mm2",
    {"mm2": Fraction(1), "um2": Fraction(1, 10**6)},
    "2 mm2",
    also={"mm²": Fraction(1), "µm²": Fraction(1, 10**6)},
    least_bare=ALWAYS,
)
_OPS = _si("OPS", "G T")
THROUGHPUT = Dimension(
    "a throughput",
    "OPS",
    {**_OPS, **{u.replace("OPS", "MAC/s"): 2 * f for u, f in _OPS.items()}},  # a MAC is two operations
    "4 TOPS",
    also={u.lower(): f for u, f in _OPS.items()},
    least_bare=10**6,
)
NODE = Dimension("a technology node", "nm", _si("m", "n u", base_exponent=-9), "28nm")
TEMPERATURE = Dimension(
    "a temperature",
    "K",
    {"K": Fraction(1)},
    "360 K",
    least_bare=200,
    offsets=dict.fromkeys(("degC", "°C"), Fraction("273.15")),
)
ENERGY = Dimension("an energy", "pJ", _si("J", "f p n u", base_exponent=-12), "3.5 pJ", least_bare=ALWAYS)
TIME = Dimension("a time", "ns", _si("s", "p n u", base_exponent=-9), "0.8 ns", least_bare=ALWAYS)
#: Not among :data:`DIMENSIONS`: its units are spelled as those of a node.
LENGTH = Dimension("a length", "mm", {"mm": Fraction(1), "um": Fraction(1, 1000)}, "0.5 mm", least_bare=ALWAYS)

DIMENSIONS = (SIZE, FREQUENCY, BANDWIDTH, ENERGY_PER_BIT, VOLTAGE, POWER, NODE, TEMPERATURE, ENERGY, TIME)

#: Field types of specs. All are finite and above zero.
SizeBytes = Annotated[int, SIZE]
FrequencyHz = Annotated[float, FREQUENCY]
BandwidthBytesPerS = Annotated[float, BANDWIDTH]
EnergyPjPerBit = Annotated[float, ENERGY_PER_BIT]
VoltageV = Annotated[float, VOLTAGE]
PowerW = Annotated[float, POWER]
NodeNm = Annotated[float, NODE]
TemperatureK = Annotated[float, TEMPERATURE]
EnergyPj = Annotated[float, ENERGY]
TimeNs = Annotated[float, TIME]
AreaMm2 = Annotated[float, AREA]
LengthMm = Annotated[float, LENGTH]


def parse_quantity(value: object) -> tuple[Fraction, str]:
    """Return a number with any known unit, exactly, and its base unit (``""`` for a plain number).

    For ranges such as ``[64 KiB, 2 MiB]``, whose field is not known yet.

    Raises
    ------
    UsageError
        If it is no finite number, or its unit is unknown.
    """
    if isinstance(value, (int, float, Fraction)) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{value!r} is not finite")
        return Fraction(value), ""
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UsageError(f"{value!r} is not a number, with or without a unit")
    if match[2] is None:
        return Fraction(match[1]), ""
    for dimension in DIMENSIONS:
        factor = dimension.factor(match[2])
        if factor is not None:
            return Fraction(match[1]) * factor, dimension.base
    known = [unit for dimension in DIMENSIONS for unit in dimension.units]
    raise UsageError(f"{value!r} has an unknown unit {match[2]!r}; {did_you_mean(match[2], known, ordered=True)}")


def format_bytes(count: float) -> str:
    """Return a size for people: ``512 KiB``, ``1.5 MiB``, ``1000 B``; 4 significant digits."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    step = 0
    while abs(count) >= 1024 and step < len(units) - 1:
        count, step = count / 1024, step + 1
    if step < len(units) - 1 and abs(float(f"{count:.4g}")) >= 1024:
        count, step = count / 1024, step + 1
    return f"{_short(count, 4)} {units[step]}"


def format_si(value: float, unit: str, digits: int = 4) -> str:
    """Return a quantity for people, with the SI prefix that leaves 1 to 999: ``25.6 GB/s``."""
    if not value or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = 3 * math.floor(math.log10(abs(float(f"{value:.{digits}g}"))) / 3)
    exponent = max(min(_SI_PREFIXES), min(exponent, max(_SI_PREFIXES)))
    scaled = float(f"{value:.{digits}g}") / 10.0**exponent
    return f"{_short(scaled, digits)} {_SI_PREFIXES[exponent]}{unit}"


_SI_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}


def _short(value: float, digits: int) -> str:
    """Return ``value`` with so many significant digits, without exponent and trailing zeros."""
    rounded = float(f"{value:.{digits}g}")
    return str(int(rounded)) if rounded.is_integer() else f"{rounded:.12f}".rstrip("0").rstrip(".")
