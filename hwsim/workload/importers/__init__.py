"""Readers that turn files into traces, one per file format."""
