"""New processes in which TensorFlow is imported already.

Its import takes 7 s of CPU, which tests and benchmarks pay once instead of for each process. The
processes are forked from one that has imported it and done nothing else: at that point TensorFlow
has no threads yet, nothing is traced, and no device is open.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

PRELOADED = ["tensorflow"]


def context() -> ForkServerContext:
    """Of `multiprocessing`; the process to fork from starts with the first one that is wanted."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found
