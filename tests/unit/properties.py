"""How often a property is tried, and what records it is tried on."""

from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=20)
# Sampled, which is faster than drawing each byte.
TEXT = st.sampled_from([None, b"", b"x", b"value", b"\x00\xff"])
HEADERS = st.sampled_from([[], [("h", None)], [("h", b"1"), ("h", b"2"), ("i", b"")]])
