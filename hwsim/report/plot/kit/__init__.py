"""What the figures of :mod:`hwsim.report.plot` are made with.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``text``            how wide words are; wrapping and shortening to a width
``sheet``           a page of panels with title, legends that hide nothing, and notes
``ticks``           linear and logarithmic axes with numbers that a person reads
``fronts``          what a Pareto plot shows: designs, fronts, and who is missing
``layers``          what energy bars show: energies by format and layer kind
``names``           short names of designs, and which points of a front to name
``boxes``           rectangles and lines on a page: what overlaps, what crosses
``placement``       where names go so that they cover neither each other nor the data
``labels``          writes the names of a front into a panel
==================  ==========================================================================
"""
