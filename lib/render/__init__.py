"""Executed notebook -> one HTML; the index; comparisons."""
