"""Files that are written whole or not at all, and what those beside a model are called."""

from tfkafka._util.files import replacing, write_whole

__all__ = ["MANIFEST", "replacing", "write_whole"]

# Replaces the suffix of a model's file: which records made it.
MANIFEST = ".manifest.json"
