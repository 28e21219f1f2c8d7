"""Formats in which every element stands for itself; one file per family."""
