"""ALMs of a netlist of Cyclone V primitives: which functions share an ALM, what the adders' own LUTs take up.

Two functions share an ALM if they have four inputs or fewer each; five and three or fewer; five and four with a
common input; five and five with two; one of six takes it alone (Intel 683461, Arria 10 handbook, 1.2.1 normal mode;
Stratix 10 has the same ALM, Intel 683729, 1.13; two equal functions of six inputs are not looked for). In arithmetic
mode an ALM has two bits of adder, each of which adds two functions of four inputs (Intel 683213, 1.2.3): both bits
see two inputs, each bit one more, and each function one of its own (Stratix II handbook, figure 2-34). yosys leaves
gates before an adder in LUTs of their own; where such a LUT drives nothing else and fits, it is in the adder's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from hwsim.hardware.fpga.generate.netlist import Bit, Cell, Netlist

#: Inputs of an ALM that both its bits see, of a bit that both its functions see, and of a function alone.
OF_ALM, OF_BIT, OF_FUNCTION = 2, 1, 1
ADDER, LUTS, REGISTER = "MISTRAL_ALUT_ARITH", ("MISTRAL_ALUT", "MISTRAL_NOT"), "MISTRAL_FF"
#: Common inputs that a function of five inputs needs with another one of four or five.
SHARED = {4: 1, 5: 2}


@dataclass(frozen=True)
class AlmCount:
    """What a netlist takes: ALMs, the same without gates in adders' LUTs, ALUTs by use, flip-flops."""

    alm: float
    alm_as_mapped: float
    aluts: int
    adder_bits: int
    ff: int


def count_alms(netlist: Netlist) -> AlmCount:
    """Return the ALMs of a netlist of ``synth_intel_alm -family cyclonev``; a small function left over is a half."""
    adders = [cell for cell in netlist.cells if cell.kind == ADDER]
    luts = [cell for cell in netlist.cells if cell.kind.startswith(LUTS) and cell.kind != ADDER]
    alms = alms_of_chains(adders)
    held = absorbed(netlist, alms, luts)
    left = [cell for cell in luts if cell.name not in held]
    chains = len(alms)
    return AlmCount(chains + packed(left), chains + packed(luts), len(left), len(adders), netlist.count(REGISTER))


def alms_of_chains(adders: Sequence[Cell]) -> list[tuple[Cell, ...]]:
    """Return the bits of each ALM of all chains: two to an ALM, and no two chains in one."""
    following = {cell.bit("CI"): cell for cell in adders if isinstance(cell.bit("CI"), int)}
    carries = {cell.bit("CO") for cell in adders}
    found: list[tuple[Cell, ...]] = []
    for cell in adders:
        if cell.bit("CI") in carries:
            continue
        chain = [cell]
        while chain[-1].bit("CO") in following:
            chain.append(following[chain[-1].bit("CO")])
        found += [tuple(chain[place : place + 2]) for place in range(0, len(chain), 2)]
    return found


def absorbed(netlist: Netlist, alms: Sequence[Sequence[Cell]], luts: Sequence[Cell]) -> set[str]:
    """Return the LUTs that are in adders: all that they drive are operands of adders whose LUTs hold them."""
    drivers = {cell.bit("Q"): cell for cell in luts}
    taken: Counter[Bit] = Counter()
    for bits in alms:
        taken.update(_operands(netlist, drivers, bits))
    return {cell.name for bit, cell in drivers.items() if taken[bit] and taken[bit] == netlist.uses[bit]}


def _operands(netlist: Netlist, drivers: Mapping[Bit, Cell], bits: Sequence[Cell]) -> list[Bit]:
    """Return the most operands of an ALM's bits that are functions which its own LUTs hold."""
    held = [[port for port in "AB" if bit.bit(port) in drivers] for bit in bits]
    choices = [[(), *combinations(ports, 1), *combinations(ports, 2)] for ports in held]
    best: list[Bit] = []
    for ports in sorted(product(*choices), key=lambda taken: -sum(map(len, taken))):
        found = [bit.bit(port) for bit, of_bit in zip(bits, ports, strict=True) for port in of_bit]
        if len(found) < len(best):
            break
        better = len(found) > len(best) or _alone(netlist, found) > _alone(netlist, best)
        if better and _fit([_functions(drivers, bit, of_bit) for bit, of_bit in zip(bits, ports, strict=True)]):
            best = found
    return best


def _alone(netlist: Netlist, bits: Sequence[Bit]) -> int:
    return sum(netlist.uses[bit] == 1 for bit in bits)


def _functions(drivers: Mapping[Bit, Cell], adder: Cell, ports: Sequence[str]) -> tuple[frozenset[Bit], ...]:
    """Return the inputs of both functions of a bit: A is one operand, B (inverted by C) the other."""
    first, second = (drivers[adder.bit(port)].signals if port in ports else _nets(adder.bit(port)) for port in "AB")
    return first, second | _nets(adder.bit("C"))


def _nets(bit: Bit) -> frozenset[Bit]:
    return frozenset({bit}) if isinstance(bit, int) else frozenset()


def _fit(bits: Sequence[tuple[frozenset[Bit], ...]]) -> bool:
    """Return whether some inputs for both bits leave few enough others to each bit and each function."""
    nets = sorted(frozenset().union(*(function for bit in bits for function in bit)), key=str)
    shared = combinations(nets, min(OF_ALM, len(nets)))
    return any(all(_bit_fits(first - {*common}, second - {*common}) for first, second in bits) for common in shared)


def _bit_fits(first: frozenset[Bit], second: frozenset[Bit]) -> bool:
    own = min(OF_FUNCTION, len(first - second)) + min(OF_FUNCTION, len(second - first))
    widest = max(len(first), len(second))
    return widest <= OF_BIT + OF_FUNCTION and len(first | second) - own <= OF_BIT


def packed(luts: Sequence[Cell]) -> float:
    """Return the ALMs of functions: pairs are found greedily, so that there may be better ones.

    A function of up to four inputs that is left over takes half an ALM, one of five a whole one.
    """
    by_size: dict[int, list[Cell]] = {4: [], 5: [], 6: []}
    for cell in luts:
        by_size[max(4, len(cell.inputs))].append(cell)
    fives, pairs = _pairs(by_size[5])
    small = len(by_size[4])
    alone = 0
    fours = [cell for cell in by_size[4] if len(cell.inputs) == 4]
    free = {cell.name for cell in fours}
    threes = small - len(fours)
    for cell in fives:
        partner = next((one for one in fours if one.name in free and cell.signals & one.signals), None)
        if partner is not None:
            free.discard(partner.name)
        elif threes:
            threes -= 1
        else:
            alone += 1
            continue
        pairs, small = pairs + 1, small - 1
    return len(by_size[6]) + pairs + alone + small / 2


def _pairs(fives: Sequence[Cell]) -> tuple[list[Cell], int]:
    """Return functions of five inputs that find no partner among each other, and the pairs of the others."""
    users: defaultdict[int, list[int]] = defaultdict(list)
    for place, cell in enumerate(fives):
        for net in cell.signals:
            users[net].append(place)
    free, pairs = set(range(len(fives))), 0
    for place, cell in enumerate(fives):
        if place not in free:
            continue
        common = Counter(other for net in cell.signals for other in users[net] if other in free and other != place)
        fitting = [other for other, count in common.items() if count >= SHARED[5]]
        if fitting:
            free -= {place, min(fitting)}
            pairs += 1
    return [fives[place] for place in sorted(free)], pairs
