"""Encoders: they turn columns into the values of records, and back."""
