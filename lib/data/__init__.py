"""Readers, generators and embedded default data."""
