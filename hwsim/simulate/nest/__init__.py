"""Loop nests over a memory hierarchy that is data.

==================  ===========================================================================
room                what it is for
==================  ===========================================================================
``hierarchy``       levels from DRAM to registers: stores, ports, energy per bit; axes of the array
``hierarchy_file``  the same from YAML, and what ships with hwsim
``loops``           a nest: loops with uneven tiles, and where each operand is kept
``count``           bits per level, operand and direction in closed form; cycles and their bounds
``walk``            the same iteration by iteration: the slow reference of ``count``
``orders``          in which order operands can be kept, and the loops that matter then
``tiles``           the sizes of tiles that matter, with what they cost in visits
``cases``           orders with their tables, made once per shape of a hierarchy
``prices``          visits become energy and bits of ports
``grid``            all sizes of an order scored at once
``search``          the best nest of all orders
``steps``           a nest as the steps of a schedule
``notation``        a nest as people write it
``from_schedule``   the nest of a schedule of the three-buffer accelerators
==================  ===========================================================================
"""
