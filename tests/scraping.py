"""What a monitor sees of a program: its metrics and its health."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Return the status and the text of a page."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def health(port: int, query: str = "") -> tuple[int, str]:
    status, text = get(port, f"/healthz{query}")
    return status, text.rstrip("\n")


def scrape(port: int) -> dict[str, float]:
    """Return each sample by its name and the values of its labels, as in `lag{topic,0}`.

    The names are without their common beginning, tfkafka_.
    """
    status, text = get(port, "/metrics")
    assert status == 200, text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(sample.labels[name] for name in sorted(sample.labels, reverse=True))
            name = sample.name.removeprefix("tfkafka_")
            found[f"{name}{{{labels}}}" if labels else name] = sample.value
    return found


def total(*pages: dict[str, float]) -> dict[str, float]:
    """Return the sums of the samples of several pages."""
    sums: dict[str, float] = defaultdict(float)
    for page in pages:
        for name, value in page.items():
            sums[name] += value
    return dict(sums)
