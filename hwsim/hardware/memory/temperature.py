"""Leakage over temperature; CACTI's energy, area and delay do not change with it.

The rows that ship hold at 360 K. At other temperatures leakage is that times CACTI's own growth
(:mod:`hwsim.hardware.technology.temperature`). At hp of 22 and 32 nm nearly all of it comes above 340 K: so
CACTI's tables of off currents have it.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

from hwsim.hardware.memory.figures import LEAKAGE, QUANTITIES, Answer, Device, Reasons, leakage_alone
from hwsim.hardware.memory.nodes import Logs
from hwsim.hardware.technology.temperature import SRAM_REFERENCE_K, leakage_factor, temperature_range_k
from hwsim.spec.errors import MissingFigureError

#: Temperature that the rows hold at.
ROWS_K = SRAM_REFERENCE_K


def check_temperature(kelvin: float) -> None:
    """Refuse a temperature that no row has leakage of.

    Raises
    ------
    MissingFigureError
        If it is outside the rows.
    """
    low, high = temperature_range_k()
    if not low <= kelvin <= high:
        valid = f"valid: {low:g} to {high:g} K ({low - 273.15:g} to {high - 273.15:g} °C)"
        raise MissingFigureError(f"no leakage figures at {kelvin:g} K; {valid}")


@lru_cache(maxsize=1024)
def temperature_logs(kelvin: float, node_nm: float, device: Device) -> Logs:
    """Return the logarithms of what figures of 360 K are multiplied by.

    Raises
    ------
    MissingFigureError
        If no row has leakage at ``kelvin``.
    """
    check_temperature(kelvin)
    grown = math.log(leakage_factor(node_nm, device, kelvin, ROWS_K).value)
    return [grown if i == LEAKAGE else 0.0 for i in range(len(QUANTITIES))]


def at_temperature(answer: Answer, kelvin: float, node_nm: float, device: Device, reservation: str = "") -> Answer:
    """Return figures of 360 K at another temperature; ``reservation`` is added to the reason.

    Raises
    ------
    MissingFigureError
        If no row has leakage at ``kelvin``.
    """
    if kelvin == ROWS_K:
        return answer
    logs = temperature_logs(kelvin, node_nm, device)
    return answer.plus(logs, partial(_tell, kelvin, node_nm, device, reservation))


def _tell(kelvin: float, node_nm: float, device: Device, reservation: str) -> Reasons:
    source = leakage_factor(node_nm, device, kelvin, ROWS_K).source
    return leakage_alone(f"leakage at {kelvin:g} K (estimated)", f"at {kelvin:g} K: {source}{reservation}")
