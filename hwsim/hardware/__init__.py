"""What a thing costs per operation: parts, processing elements, memories, technologies, and the machine of them.

=================  ============================================================================
room               what it is for
=================  ============================================================================
``circuits``       parts of arithmetic datapaths, counted in cells from their widths
``synthesis``      synthesised units as the yardstick, and the model fitted on them
``technology``     cell classes to µm², fJ and ps; nodes, supplies, factors on energy
``memory``         SRAM, register files, DRAM
``pe``             processing elements; one file per family
``cpu``            table look-up on a processor, counted in operations
``functions``      exp, GELU and others by table, piece, polynomial or shifts; one file per method
``units``          stochastic rounding, Hadamard, requantization, modular multiplication
``references``     published figures beside ours
``claims``         what published savings rest on
``levels``         memories in any number of levels, on the axes of an array
``accelerator``    array, buffers, DRAM and vector unit of one design, priced
=================  ============================================================================
"""
