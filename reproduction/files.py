"""Files that are written whole or not at all."""

from tfkafka._util.files import replacing, write_whole

__all__ = ["replacing", "write_whole"]
