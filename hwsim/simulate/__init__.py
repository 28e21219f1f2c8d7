"""Cycles and energy of a trace on an accelerator.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``schedule``        tiles, steps, traffic, timing: the one contract of mappers and engines
``dataflow``        how a tile lies on the array, cycle by cycle; one file per dataflow
``nest``            loop nests over any hierarchy of memories: exact traffic, the best nest
``mapping``         the mapper: tile sizes and loop orders under the SRAM capacities
``policies``        mapping by a rule instead, those of other simulators, and by the nests of memory levels
``engine``          a schedule becomes cycles: ``fast`` by recurrence, ``pe`` with real data
``vector_ops``      what one element of softmax, a norm or an activation takes
``vector_unit``     vector operations and the quantization of results, in cycles and energy
``cost``            counts × unit costs; nothing else computes energy
``accuracy``        quantization noise of a design, formats and arithmetic together
``arch_spec``       what an architecture file says beside the hardware
``unit_costs``      what every counted event costs on an accelerator
``level_machine``   levels of memory as a hierarchy for loop nests; ``level_run``: laws and notes
``architecture``    an architecture file becomes a machine: shapes, port widths, unit prices
``evaluate``        a whole trace on a machine, every result checked for conservation
==================  ==========================================================================

Nothing is imported here: each room is asked for by name.
"""
