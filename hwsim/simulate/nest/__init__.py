"""Loop nests over a memory hierarchy that is data.

==============  ===============================================================================
room            what it is for
==============  ===============================================================================
``hierarchy``   levels from DRAM to registers: stores, ports, energy per bit; axes of the array
``hierarchy_file``  the same from YAML; what ships with hwsim
``loops``       a nest: loops with uneven tiles, and where each operand is kept
``count``       bits per level, operand and direction in closed form; cycles and their bounds
``walk``        the same iteration by iteration: the slow reference of ``count``
``search``      the best nest: every order, every placement, every size of tile
``notation``    a nest as people write it
==============  ===============================================================================
"""
