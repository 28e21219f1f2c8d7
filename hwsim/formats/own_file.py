"""What a format file holds: ``fields`` of a float, or ``values`` of a codebook.

.. code-block:: yaml

    # formats/fp8_wide.yaml
    description: five exponent bits, two mantissa bits, no infinities, range shifted down
    source: own experiments
    fields: {exponent_bits: 5, mantissa_bits: 2, bias: 20, nan: highest}

.. code-block:: yaml

    # formats/steps4.yaml: 16 levels in the order of their codes; null is a code that is not used
    values: [0, 1, 2, 3, 4, 6, 8, 12, null, -1, -2, -3, -4, -6, -8, -12]

Scales fit the largest magnitude to the largest value; ``fit: absmean`` or ``fit: rms`` makes 1 of the mean
magnitude or of the root mean square.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from hwsim.formats.base import ElementFormat
from hwsim.formats.element.codebook import MAX_BITS, Codebook
from hwsim.formats.element.float_table import FloatTable
from hwsim.formats.element.minifloat import Minifloat, Special
from hwsim.formats.fit import Fit
from hwsim.spec.bind import Spec, bind
from hwsim.spec.document import load_document
from hwsim.spec.errors import Problem, SpecError

Nan = Literal["none", "highest", "top_exponent", "negative_zero"]


#: What a file may be called: a name, but none that a scale would end on.
NAME = re.compile(r"[a-z][a-z0-9]*(_(?!(g\d+|t\d+x\d+|channel|tensor)(_|$))[a-z0-9]+)*$")


class FieldsSpec(Spec):
    """The fields of a float; value (-1)^sign · 2^(exponent - bias) · 1.mantissa."""

    exponent_bits: int = Field(ge=1, le=8, description="bits of the exponent")
    mantissa_bits: int = Field(ge=0, le=23, description="bits of the mantissa, without the hidden one")
    bias: int | None = Field(None, ge=-64, le=191, description="exponent bias; default 2^(exponent_bits-1) - 1")
    signed: bool = Field(True, description="whether there is a sign bit")
    subnormals: bool = Field(True, description="without them exponent 0 is an exponent like any other")
    zero: bool = Field(True, description="whether magnitude 0 is zero; only a format without subnormals lacks it")
    infinities: bool = Field(False, description="the highest code that is no NaN is infinite")
    nan: Nan = Field(
        "none",
        description="none; highest: the highest code of each sign; top_exponent: with infinities, as in "
        "IEEE 754; negative_zero: the code of -0",
    )

    @model_validator(mode="after")
    def _consistent(self) -> FieldsSpec:
        if self.nan == "top_exponent" and not self.infinities:
            raise ValueError("nan: top_exponent needs infinities: true, as in IEEE 754; else take nan: highest")
        return self

    def special(self) -> Special | None:
        """Return the kind of special codes if :class:`Minifloat` knows it, else None."""
        plain = (self.signed or self.nan == "highest") and self.subnormals and self.zero
        kinds: dict[tuple[bool, Nan], Special] = {
            (False, "none"): "finite", (False, "highest"): "nan_only",
            (True, "top_exponent"): "ieee", (False, "negative_zero"): "fnuz",
        }  # fmt: skip
        return kinds.get((self.infinities, self.nan)) if plain else None

    def build(self, name: str) -> ElementFormat:
        """Return the format.

        Raises
        ------
        ValueError
            If it is wider than a table can be and has special codes of an unusual kind.
        """
        bias = 2 ** (self.exponent_bits - 1) - 1 if self.bias is None else self.bias
        special = self.special()
        fewest = self.exponent_bits == 1 and self.mantissa_bits == 0
        if fewest and (special == "ieee" or self.nan == "highest"):
            raise ValueError("valid: at least two finite values")
        if special is not None:
            return Minifloat(name, self.exponent_bits, self.mantissa_bits, special, bias, self.signed)
        nans = {"highest": 1, "top_exponent": 2**self.mantissa_bits - 1}
        return FloatTable(
            name, self.exponent_bits, self.mantissa_bits, bias, self.signed, self.subnormals, self.zero,
            self.infinities, nans.get(self.nan, 0), self.nan == "negative_zero",
        )  # fmt: skip


class FormatSpec(Spec):
    """A number format: ``fields`` of a float or ``values`` of a codebook."""

    description: str = Field("", description="what it is for")
    source: str = Field("", description="where it comes from")
    fields: FieldsSpec | None = Field(None, description="a float by its fields")
    values: tuple[float | None, ...] | None = Field(
        None,
        min_length=2,
        max_length=2**MAX_BITS,
        description="a codebook: the value of every code, in code order; null where a code is not used",
    )

    fit: Fit = Field(
        "absmax",
        description="of a codebook, what scales fit: absmax takes the largest magnitude to the largest value, "
        "absmean and rms take the mean magnitude or the root mean square to 1",
    )

    @model_validator(mode="after")
    def _one_of(self) -> FormatSpec:
        if (self.fields is None) == (self.values is None):
            raise ValueError("needs either fields, of a float, or values, of a codebook")
        if self.fields is not None and self.fit != "absmax":
            raise ValueError("fit is for values; floats fit the largest magnitude")
        return self

    def build(self, name: str) -> ElementFormat:
        """Return the format, under ``name``.

        Raises
        ------
        ValueError
            If there is none of these fields or values.
        """
        if self.fields is not None:
            return self.fields.build(name)
        values = self.values or ()
        bits = max(1, (len(values) - 1).bit_length())
        unused = (None,) * (2**bits - len(values))
        return Codebook(name, bits, tuple(float("nan") if v is None else v for v in (*values, *unused)), self.fit)


def read_format(path: Path) -> ElementFormat:
    """Return the format that a file defines; it is called like the file.

    Raises
    ------
    SpecError
        With every mistake, each at its line and column.
    """
    document = load_document(path)
    spec = bind(document, FormatSpec)
    name = path.stem
    if NAME.match(name) is None:
        text = f"{name!r} can be no format's name; valid: lower-case letters, digits and _, no ending of a scale"
        raise SpecError([Problem(str(path), 0, 0, "", text)])
    try:
        return spec.build(name)
    except ValueError as error:
        place = "fields" if spec.fields is not None else "values"
        raise SpecError([document.problem(place, str(error).removeprefix(f"{name}: "))]) from None
