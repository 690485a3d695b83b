"""What exactly-once costs: the same inference with and without transactions, and from memory."""

import pytest

from tests.benchmarks.catalogue import MEMORY, native_or_not
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import ROUNDS
from tests.benchmarks.worker import Side
from tfkafka.native import VARIABLE

TRANSACTIONS = 20
SHARED = "shared"


@pytest.fixture
def measure(compare, make_filled, make_topic, messages, group):
    """measure(name, per_transaction, transactions, rounds)"""

    def run(name: str, per_transaction: int, transactions: int, rounds: int) -> None:
        records = per_transaction * transactions
        source = make_filled(records)
        place = {
            **source.place,
            "predictions": make_topic(2),
            "per_transaction": per_transaction,
        }
        memory = {"features": messages.features[:per_transaction], "transactions": transactions}
        sides = [
            Side(
                "transactions",
                "subject",
                "inference:transactions",
                {**place, "group": f"{group}-exactly-once"},
                SHARED,
            ),
            Side(MEMORY, "ceiling", "inference:memory", memory, SHARED),
            Side(
                "at least once",
                "alternative",
                "inference:plain",
                {**place, "group": f"{group}-at-least-once"},
            ),
        ]
        if "1" in native_or_not():
            sides.append(
                Side(
                    "transactions, Python",
                    "alternative",
                    "inference:transactions",
                    {**place, "group": f"{group}-python"},
                    environment={VARIABLE: "0"},
                )
            )
        # The first transaction is before the clock starts.
        counted = records - per_transaction
        topic = Topic(source.servers, source.name, counted, source.size * counted // records)
        title = f"Predict {counted:,} records, {per_transaction:,} a transaction"
        compare(name, "predict", title, topic, sides, rounds)

    return run


@pytest.mark.bench
@pytest.mark.parametrize("per_transaction", [10_000, 2_000])
def test_transactions_against_at_least_once(measure, per_transaction):
    measure(f"exactly-once-{per_transaction}", per_transaction, TRANSACTIONS, ROUNDS)


def test_short(measure):
    measure("short-exactly-once", 1_000, 10, 3)
