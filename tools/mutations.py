"""Break the core on purpose, one fault at a time, and see that the tests of `make test` notice.

Each fault is put into a copy of the checkout, and the tests that stand beside the code are run
there: they must fail. `python tools/mutations.py [NAME ...]`; exit status 1 where one survives.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEADLINE_S = 300.0
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "artifacts", "reports", "__pycache__")


@dataclass(frozen=True)
class Mutation:
    """A fault: `right` in `file` becomes `wrong`; one of `tests` must fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


MUTATIONS = (
    Mutation(
        "another topic of the same name not noticed",
        "client/identity.py",
        "elif found.identity != expected:",
        "elif found.identity == '':",
        "tests/unit/client/test_identity.py",
    ),
    Mutation(
        "new partition begins where a new group would",
        "reading/starts.py",
        'if is_known or reset.new_group == "earliest":',
        'if reset.new_group == "earliest":',
        "tests/unit/reading/test_group.py",
    ),
    Mutation(
        "offset that is gone not noticed",
        "reading/starts.py",
        "if first <= offset <= end:",
        "if offset >= 0:",
        "tests/unit/reading/test_group.py",
    ),
    Mutation(
        "commit sent before its topic is confirmed",
        "reading/commits.py",
        "while self._held and self._held[0].check.done():",
        "while self._held:",
        "tests/unit/reading/test_commits.py",
    ),
    Mutation(
        "generation check dropped",
        "reading/group.py",
        "or self._progress[source].generation > chunk.generation",
        "",
        "tests/unit/reading/test_group.py",
    ),
    Mutation(
        "offset + 1 committed",
        "reading/commits.py",
        "positions[partition] = int(each.offsets[missing.argmax()])",
        "positions[partition] = int(each.offsets[missing.argmax()]) + 1",
        "tests/unit/reading/test_commits.py",
    ),
    Mutation(
        "commit after revoke",
        "reading/group.py",
        "return {source: o for source, o in positions.items() if source in self._progress}",
        "return dict(positions)",
        "tests/unit/reading/test_group.py",
    ),
    Mutation(
        "end of a compacted topic not seen",
        "reading/ranges.py",
        "reached = polled.chunk.next_offsets | polled.ends",
        "reached = dict(polled.chunk.next_offsets)",
        "tests/unit/reading/test_ranges.py",
    ),
    Mutation(
        "marker counted as a record",
        "reading/ranges.py",
        "wanted -= len(chunk)",
        "wanted -= int(chunk.offsets[-1] - chunk.offsets[0]) + 1 if len(chunk) else 0",
        "tests/unit/reading/test_ranges.py",
    ),
    Mutation(
        "records of a later leader not noticed",
        "reading/ranges.py",
        "if epoch is not None and epoch > left.leader_epoch:",
        "if epoch is not None and epoch < 0:",
        "tests/unit/reading/test_ranges.py",
    ),
    Mutation(
        "offset of an earlier topic used",
        "client/lineage.py",
        "return cluster == self._known.cluster and known is not None and known != topic_id",
        "return False",
        "tests/unit/client/test_lineage.py",
    ),
    Mutation(
        "pause remembered",
        "reading/group.py",
        "            self.consumer.resume(paused)\n            self._paused -= paused",
        "            pass",
        "tests/unit/reading/test_group.py",
    ),
    Mutation(
        "chunk delivered twice",
        "reading/prefetch.py",
        "self._buffer.append(prepared)",
        "self._buffer.extend([prepared, prepared])",
        "tests/unit/reading/test_prefetch.py",
    ),
    Mutation(
        "buffer bound ignored",
        "reading/prefetch.py",
        "return self._held < self._capacity",
        "return True",
        "tests/unit/reading/test_prefetch.py",
    ),
    Mutation(
        "order of arrival",
        "reading/order.py",
        'select_from(chunks, np.argsort(places, kind="stable"))',
        "select_from(chunks, np.arange(len(places)))",
        "tests/unit/reading/test_order.py",
    ),
    Mutation(
        "error swallowed",
        "reading/prefetch.py",
        "            error = caught",
        "            error = None and caught",
        "tests/unit/reading/test_prefetch.py",
    ),
)


def is_caught(mutation: Mutation) -> bool:
    """Whether a test fails in a copy of the checkout that has the fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        path = copy / "tfkafka" / mutation.file
        text = path.read_text()
        if text.count(mutation.right) != 1:
            sys.exit(f"{mutation.name}: {mutation.file} does not have its line once")
        path.write_text(text.replace(mutation.right, mutation.wrong))
        command = [sys.executable, "-m", "pytest", mutation.tests, "-q", "-x", "-p", "no:randomly"]
        try:
            done = subprocess.run(
                [*command, "--timeout", "60"], cwd=copy, capture_output=True, timeout=DEADLINE_S
            )
        except subprocess.TimeoutExpired:
            return True
        # 1: tests failed. Anything else, such as tests that cannot be collected, proves nothing.
        return done.returncode == 1


def main() -> None:
    chosen = [m for m in MUTATIONS if m.name in sys.argv[1:] or len(sys.argv) == 1]
    survived = []
    for mutation in chosen:
        caught = is_caught(mutation)
        print(
            f"{'caught' if caught else 'SURVIVED':<10}{mutation.name}: {mutation.tests}", flush=True
        )
        survived += [] if caught else [mutation.name]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
