"""Banks with open rows: every gap is legal at its cycle and not before, queues, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.hardware.memory.dram import DIRECT, QUEUED, BankModel, Controller, load_preset, peak_gb_s
from hwsim.spec.errors import MissingFigureError, UsageError

PRESET = load_preset("ddr4_2400")
ORG, T = PRESET.timed
ROW = ORG.row_bytes
# With the map below, a row's bytes lie together; the next row is in the next bank group.
MAP = "rochrababgco"
BANK = ROW * ORG.bank_groups


def end(addresses, writes=None, **kwargs):
    return BankModel(PRESET, MAP, refresh=False, **kwargs).run(addresses, writes).cycles


READ = T.rcd_read + T.cl + T.burst


@pytest.mark.parametrize(
    ("addresses", "writes", "cycles"),
    [
        ([0], [0], READ),
        ([0], [1], T.rcd_write + T.cwl + T.burst),
        ([0, 64], [0, 0], READ + T.ccd_l),
        ([0, 64], [0, 1], T.rcd_read + T.read_to_write + T.cwl + T.burst),
        ([0, ROW], [0, 0], READ + max(T.rrd_s, T.ccd_s)),
        ([0, BANK], [0, 0], READ + T.rrd_l),
        # The same bank, another row: open for tRAS, precharged for tRP.
        ([0, 4 * BANK], [0, 0], T.ras + T.rp + READ),
        ([0, 4 * BANK], [1, 1], T.rcd_write + T.cwl + T.burst + T.wr + T.rp + T.rcd_write + T.cwl + T.burst),
        # Five activations: the fifth waits for the window of four.
        ([0, ROW, 2 * ROW, 3 * ROW, BANK], [0] * 5, T.faw + READ),
    ],
)
def test_gaps_by_hand(addresses, writes, cycles):
    assert end(addresses, writes) == cycles


def test_a_write_delays_a_read_by_the_turnaround_of_its_group():
    eager = Controller(drain_from=0, drain_to=0)
    same = end([0, 64], [1, 0], controller=eager)
    assert same == T.rcd_write + T.cwl + T.burst + T.wtr_l + T.cl + T.burst
    queued = end([0, ROW], [1, 0], controller=Controller(read_depth=1, write_depth=1))
    assert queued > READ


def test_refresh_closes_rows_and_takes_its_time():
    count = T.refi // T.ccd_s * 2
    addresses = np.arange(count) * 64
    with_it = BankModel(PRESET, "rorabachcobg").run(addresses)
    without = BankModel(PRESET, "rorabachcobg", refresh=False).run(addresses)
    assert (with_it.refreshes, without.refreshes) == (2, 0)
    lost = with_it.cycles - without.cycles
    assert lost == pytest.approx(2 * (T.rtp + T.rp + T.rfc + T.rcd_read), rel=0.1)
    assert with_it.open_share < without.open_share <= 1


def test_outcomes_add_up():
    run = BankModel(PRESET, MAP, refresh=False).run([0, 64, 4 * BANK, ROW])
    assert (run.hits, run.misses, run.conflicts) == (1, 2, 1)
    assert (run.activates, run.precharges) == (3, 1)


def test_rows_stay_open_until_the_cap():
    other = [0, 4 * BANK] + [64 * i for i in range(1, 20)]
    capped = BankModel(PRESET, MAP, Controller(row_hit_cap=4), refresh=False).run(other)
    free = BankModel(PRESET, MAP, refresh=False).run(other)
    assert (free.activates, capped.activates) == (2, 3)


def test_arrivals_are_waited_for_and_the_clock_can_be_stopped():
    late = BankModel(PRESET, MAP, refresh=False).run([0, 64], arrivals=[0, 1000])
    assert late.cycles == 1000 + T.cl + T.burst
    assert late.latency_cycles == pytest.approx((READ + T.cl + T.burst) / 2)
    stopped = BankModel(PRESET, MAP, refresh=False).run(np.arange(1000) * 64, max_cycles=500)
    assert stopped.cycles == 500
    assert stopped.reads < 1000


@pytest.mark.parametrize("controller", [DIRECT, QUEUED])
@pytest.mark.parametrize("name", ["ddr4_8gb_x8_2400", "hbm2", "gddr7_28000"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_requests_are_served_once_below_the_peak(name, controller, data):
    preset = load_preset(name)
    o, t = preset.timed
    count = data.draw(st.integers(1, 60))
    addresses = data.draw(st.lists(st.integers(0, 1 << 24), min_size=count, max_size=count))
    writes = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    mapping = data.draw(st.sampled_from(["rochrababgpsco", "rorabachcopsbg"]))
    model = BankModel(preset, mapping, controller)
    run = model.run(addresses, writes)
    assert (run.reads, run.writes) == (count - sum(writes), sum(writes))
    assert run.hits + run.misses + run.conflicts == count
    assert run.activates <= count + run.refreshes * o.banks
    assert run.bandwidth_gb_s <= peak_gb_s(preset) / o.channels
    assert 0 < run.open_share <= 1
    assert run == model.run(addresses, writes) or np.isnan(run.latency_cycles)
    if run.reads:
        assert run.latency_cycles >= t.cl + t.burst


def test_what_cannot_be_run():
    with pytest.raises(MissingFigureError, match="gddr6x has no sourced timing"):
        BankModel(load_preset("gddr6x"))
    for addresses, writes in (([], []), ([0, 64], [True])):
        with pytest.raises(UsageError, match="as many of each, and at least one"):
            BankModel(PRESET).run(addresses, writes)
