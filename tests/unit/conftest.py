"""What all properties have in common."""

from hypothesis import settings

# Without a deadline: a busy machine is no fault. Without a database: it would lie among the code.
settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")
