"""Error correction of an SRAM: check bits stored beside every word.

SECDED corrects one wrong bit of a word and detects two: the fewest check bits ``r`` with
``2^r >= k + r + 1`` for ``k`` bits of data (Hamming), and one for the parity of all. Narrow words take
the larger share of check bits, so of two protected arrays of one capacity the wider may be the smaller.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Literal

from hwsim.hardware.memory.figures import Answer, Reasons, alike
from hwsim.spec.errors import UsageError, did_you_mean

Ecc = Literal["none", "secded"]
SCHEMES = ("none", "secded")


def check_ecc(ecc: str) -> None:
    """Refuse a scheme that is unknown.

    Raises
    ------
    UsageError
        If it is not in ``SCHEMES``.
    """
    if ecc not in SCHEMES:
        raise UsageError(f"ecc: unknown {ecc!r}; {did_you_mean(ecc, SCHEMES)}")


@lru_cache(maxsize=4096)
def check_bits(ecc: str, data_bits: int) -> int:
    """Return the check bits that a word of ``data_bits`` is stored with."""
    if ecc == "none":
        return 0
    hamming = 2
    while 2**hamming < data_bits + hamming + 1:
        hamming += 1
    return hamming + 1


def stored_bytes(size_bytes: int, width_bits: int, stored_bits: int) -> int:
    """Return the bytes that ``size_bytes`` of data take where each word of ``width_bits`` is stored wider."""
    return size_bytes if stored_bits == width_bits else -(-size_bytes * stored_bits // width_bits)


def protected(answer: Answer, width_bits: int, checks: int) -> Answer:
    """Return the figures of an array that is already as wide as its words with their check bits."""
    return answer.said(partial(_tell, width_bits, checks)) if checks else answer


def _tell(width_bits: int, checks: int) -> Reasons:
    reason = (
        f"SECDED: words of {width_bits} bits are stored and accessed with {checks} check bits "
        f"({checks - 1} by Hamming's bound and a parity), encoder and decoder not priced"
    )
    return alike(f"with {checks} check bits per word (estimated)", reason)
