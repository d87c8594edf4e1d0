"""Production units lend their GPU to a study and get it back, whatever becomes of the study: `lent` is the entry."""

from study.lending.loan import lent

__all__ = ["lent"]
