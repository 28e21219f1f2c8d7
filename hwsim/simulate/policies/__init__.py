"""Mapping policies beside ``search`` of three buffers: rules of other simulators, and the search of memory levels.

A policy registers in :data:`hwsim.simulate.mapping.POLICIES`, where ``search`` is, which looks for the best mapping.
"""

from __future__ import annotations

#: The policy of ``memories.levels``, which ``search`` stands for there.
LOOP_NEST = "loop_nest"
