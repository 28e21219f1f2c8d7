"""Families of units that were synthesised on FPGA fabric; one file per kind of arithmetic."""
