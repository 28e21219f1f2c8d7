"""Special-function units: exp, GELU, SiLU, reciprocal and reciprocal square root in fixed point.

>>> unit = make_function({"function": "exp", "method": "piecewise", "segments": 16})
>>> unit.value(x), unit.parts(), unit.max_error()

============  ================================================================================
room          what it is for
============  ================================================================================
``base``      what every unit offers: bit-accurate values, error, parts, operations, cycles
``kernels``   the functions, the range of each, and how an argument is brought into it
``segmented`` polynomials of any degree over equal segments, in fixed point
``methods``   one file per method: table, piecewise linear, polynomial, shifts of I-ViT
``i_vit``     integer-only softmax, GELU and LayerNorm, bit for bit
``integer``   published operation counts of integer-only softmax, GELU, LayerNorm; softmax traffic
``rational``  exp by ten operations
``registry``  from options to a unit
``choice``    from the functions of an architecture's vector unit to units
============  ================================================================================
"""

from __future__ import annotations

from hwsim.hardware.functions.base import ErrorFound, FunctionUnit
from hwsim.hardware.functions.choice import chosen_units
from hwsim.hardware.functions.i_vit import i_layernorm, shiftgelu, shiftmax
from hwsim.hardware.functions.integer import SoftmaxTraffic, integer_operations, softmax_traffic
from hwsim.hardware.functions.kernels import FUNCTIONS
from hwsim.hardware.functions.rational import rational_exp
from hwsim.hardware.functions.registry import METHODS, make_function

__all__ = [
    "FUNCTIONS", "METHODS", "ErrorFound", "FunctionUnit", "SoftmaxTraffic", "chosen_units", "i_layernorm",
    "integer_operations", "make_function", "rational_exp", "shiftgelu", "shiftmax", "softmax_traffic",
]  # fmt: skip
