"""Address maps: every place once, in the order that the map says."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.hardware.memory.dram import INTERLEAVED, ROW_BY_ROW, address_map, load_preset
from hwsim.spec.errors import UsageError

ORG, _ = load_preset("ddr4_2400").timed
HBM, _ = load_preset("hbm2").timed


def test_columns_lowest_stay_in_a_row():
    m = address_map("rochrababgco", ORG)
    places = m.places(np.arange(2 * ORG.bursts_per_row) * ORG.burst_bytes)
    assert places.bank.tolist() == [0] * ORG.bursts_per_row + [ORG.banks_per_group] * ORG.bursts_per_row
    assert set(places.row) == {0}
    assert m.below["bg"] == ORG.bursts_per_row


def test_bank_groups_lowest_take_turns():
    places = address_map("rorabachcobg", ORG).places(np.arange(8) * ORG.burst_bytes)
    assert places.bank.tolist() == [0, 4, 8, 12] * 2


@pytest.mark.parametrize("text", [INTERLEAVED, ROW_BY_ROW])
def test_places_are_one_to_one(text):
    count = HBM.channels * HBM.pseudo_channels * HBM.banks * HBM.bursts_per_row * 2
    places = address_map(text, HBM).places(np.arange(count) * HBM.burst_bytes)
    seen = set(zip(places.channel.tolist(), places.bank.tolist(), places.row.tolist(), strict=True))
    assert len(seen) * HBM.bursts_per_row == count
    assert places.bank.max() == HBM.pseudo_channels * HBM.banks - 1
    assert places.channel.max() == HBM.channels - 1


def test_bytes_of_a_burst_share_a_place_and_what_is_beyond_wraps():
    m = address_map(ROW_BY_ROW, ORG)
    capacity = ORG.rows * ORG.row_bytes * ORG.banks * ORG.ranks
    places = m.places([0, ORG.burst_bytes - 1, capacity])
    assert places.bank.tolist() == [0, 0, 0]
    assert places.row.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rochrabgco", "lacks ba"), ("rochrababgcobg", "names a field twice"), ("rochrababgcl", "unknown field 'cl'"),
        ("", "lacks ro"), ("rochrababgc", "unknown field 'c'"),
    ],
)  # fmt: skip
def test_wrong_maps(text, said):
    with pytest.raises(UsageError, match=f"dram.address_map.*{said}"):
        address_map(text, ORG)


def test_a_map_without_pseudo_channels_needs_a_dram_without():
    with pytest.raises(UsageError, match="lacks ps"):
        address_map("rochrababgco", HBM)
