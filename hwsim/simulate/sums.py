"""Whether the PE's sums are as wide as a workload asks: a policy's ``accumulator``, carried by its products."""

from __future__ import annotations

from hwsim.formats import Format, parse_format
from hwsim.formats.sums import holds_all, parse_sum_format
from hwsim.hardware.pe import PE
from hwsim.spec.errors import UsageError
from hwsim.workload import Trace

#: What sums of groups are added in, once they are scaled (:data:`hwsim.hardware.pe.pipeline.SCALED_SUM_BITS`).
SCALED_SUMS = "fp32"


def check_sums(pe: PE, trace: Trace) -> None:
    """Refuse a filled ``trace`` whose products ask for sums that ``pe`` does not have.

    Sums of groups that are scaled leave the PE for FP32; then either of both may be what is asked for.

    Raises
    ------
    UsageError
        With the product, its wish, and what the PE sums in.
    """
    told = set()
    for gemm in trace.gemms:
        pair = (gemm.accumulator, gemm.w_format, gemm.a_format)
        if gemm.accumulator and pair not in told:
            told.add(pair)
            _check(pe, gemm.layer, parse_sum_format(gemm.accumulator), parse_format(pair[1]), parse_format(pair[2]))


def _check(pe: PE, layer: str, wanted: Format, w: Format, a: Format) -> None:
    if pe.supports(w, a) is not None:
        return
    mode = pe.mode(w, a)
    if mode.lossless:
        return
    found = mode.sum_format
    if found is not None and holds_all(found, wanted):
        return
    if pe.scaling(w, a) == "sum" and holds_all(parse_format(SCALED_SUMS), wanted):
        return
    own = f"{mode.psum_bits} bits of fixed point and exponent" if found is None else found.name
    raise UsageError(
        f"{layer}: the policy asks for sums in {wanted.name}, and pe {pe.family} sums {w.name} × {a.name} in {own}; "
        f"set pe.accumulator to a format that holds {wanted.name}, or leave accumulator out of the policy"
    )
