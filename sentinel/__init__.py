"""Sentinel: ends what dead sessions leave behind, and nothing else."""

__version__ = "0.1.0"
