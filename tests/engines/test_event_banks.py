"""The event engine with banks behind the port: what their commands take, near the closed form of a stream."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hwsim.hardware.memory.dram import INTERLEAVED, BankModel, Channels, load_preset
from hwsim.hardware.memory.dram import channels as channels_module
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.errors import MissingFigureError, SpecError, UsageError
from hwsim.workload.ops import Gemm
from hwsim.workload.trace import Trace
from tests.support.small import small


def trace(m=64, n=256, k=256):
    return Trace("one", (Gemm("one", m, n, k, w_format="int8", a_format="int8", o_format="int8"),))


@pytest.mark.parametrize("name", ["ddr3_1600", "ddr4_2400", "lpddr5", "gddr6_14000"])
def test_one_long_read_is_that_of_the_bank_model(name):
    preset = load_preset(name)
    organisation, timing = preset.timed
    bursts = 3000
    found = Channels(preset).move(Fraction(0), bursts * organisation.burst_bytes * 8 * organisation.channels, False)
    addresses = np.arange(bursts) * organisation.burst_bytes
    if organisation.channels == 1:
        run = BankModel(preset, INTERLEAVED).run(addresses)
        assert found == run.cycles * Fraction(str(timing.clock_ns))
    assert found >= bursts * timing.burst * Fraction(str(timing.clock_ns))


def test_later_transfers_find_rows_open_and_turn_the_bus():
    preset = load_preset("ddr4_2400")
    line = 64 * 8
    one = Channels(preset)
    ends = [Fraction(0)]
    for _ in range(5):
        ends.append(one.move(ends[-1], line, False))
    opened, again = ends[1] - ends[0], ends[5] - ends[4]
    assert again < opened  # bank groups lowest: the fifth burst is in the row that the first one opened
    assert one.move(ends[-1], line, True) - ends[-1] > again  # another row, and the bus turns


def test_a_stream_takes_about_the_closed_form_and_other_engines_do_not_notice():
    banks, closed = (small("int8", dram={"preset": "ddr4_2400", **more}) for more in ({"banks": True}, {}))
    stepped = evaluate(banks, trace(), "event").layer_rows[0]["cycles"]
    fast = evaluate(closed, trace(), "fast").layer_rows[0]["cycles"]
    assert evaluate(banks, trace(), "fast").layer_rows[0]["cycles"] == fast
    assert evaluate(closed, trace(), "event").layer_rows[0]["cycles"] == fast
    # Each transfer pays the latency of its first burst, which the closed form of one long stream does not have.
    assert fast < stepped < 2 * fast


@pytest.mark.parametrize("more", [{"access": "random"}, {"bandwidth": "10 GB/s"}, {"channels": 2}])
def test_what_banks_cannot_heed_is_refused_before_a_run(more):
    (key,) = more
    with pytest.raises(SpecError, match=rf"dram.banks: .*but {key} is given; leave out"):
        small("int8", dram={"preset": "ddr4_2400", "banks": True, **more})
    with pytest.raises(SpecError, match="dram.*timing"):
        small("int8", dram={"preset": "gddr6x", "energy": "7 pJ/bit", "banks": True})


def test_channels_need_timing():
    with pytest.raises(MissingFigureError, match="timing"):
        Channels(load_preset("gddr6x"))


def test_long_runs_are_refused_before_they_take_minutes(monkeypatch):
    monkeypatch.setattr(channels_module, "BURST_LIMIT", 100)
    with pytest.raises(UsageError, match="up to 100 bursts; valid: banks: false"):
        evaluate(small("int8", dram={"preset": "ddr4_2400", "banks": True}), trace(), "event")
