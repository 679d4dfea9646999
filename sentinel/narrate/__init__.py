"""Records of the journal as sentences."""

from sentinel.narrate.told import details, kind, sentence
from sentinel.narrate.words import duration

__all__ = ["details", "duration", "kind", "sentence"]
