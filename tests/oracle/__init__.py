"""The oracle: every view of docs/views.md folded in plain Python, to hold the projections against."""

from tests.oracle.oracle import fold

__all__ = ["fold"]
