"""Families of units in Verilog; one file per kind."""
