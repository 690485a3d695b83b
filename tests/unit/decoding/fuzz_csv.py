"""Compare the parsers of CSV for some seconds.

`python -m tests.unit.decoding.fuzz_csv SECONDS SEED`

Prints the numbers of chunks, of decoded records and of bad ones.
"""

from __future__ import annotations

import random
import sys
import time

from tests.unit.decoding.csv_samples import assert_same, decoder, records
from tfkafka import native


def main(seconds: str, seed: str) -> None:
    assert native.library() is not None, "the native library is not built"
    of = random.Random(int(seed))
    rounds = decoded = bad = 0
    end = time.monotonic() + float(seconds)
    while not rounds or time.monotonic() < end:
        decode = decoder(of)
        found = assert_same(decode, records(of, decode))
        rounds, decoded, bad = rounds + 1, decoded + len(found.kept), bad + len(found.faults)
    print(rounds, decoded, bad)


if __name__ == "__main__":
    main(*sys.argv[1:])
