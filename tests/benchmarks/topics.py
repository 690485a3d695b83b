"""A topic that a benchmark reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Topic:
    """A topic; how many of its records are read or written, and bytes of their values and keys."""

    servers: str
    name: str
    records: int
    size: int

    @property
    def where(self) -> dict[str, Any]:
        """What any side wants to know."""
        return {"servers": self.servers, "topic": self.name}

    @property
    def place(self) -> dict[str, Any]:
        """What a side that reads wants to know."""
        return {**self.where, "records": self.records}

    def within(self, batch_size: int) -> Topic:
        """What `sides.groups` measures of it: neither the first batch nor the last full one."""
        return self.first((self.records // batch_size - 2) * batch_size)

    def first(self, records: int) -> Topic:
        """The same topic, of which only the first records are read."""
        return Topic(self.servers, self.name, records, self.size * records // self.records)
