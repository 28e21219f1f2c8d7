"""Figures, one file per kind: each offers a function that takes a table and returns a Figure.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``style``           the look of all figures, colours of PE families, writing PNG and SVG
``pareto``          the Pareto front of a design table, its points by name
``trace_bars``      what a trace computes and moves, layer by layer
``energy_bars``     the energy of number formats, in all and per layer kind
``kit``             what the figures are made with: pages, axes, names, placement
==================  ==========================================================================
"""
