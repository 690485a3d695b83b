"""Write the lock file of a Kafka version: resolve its coordinates once, with jgo.

    python -m tfkafka.testing.brokers.lock 3.9.2 --metadata kraft \\
        org.apache.kafka:kafka_2.13:3.9.2 org.apache.kafka:kafka-tools:3.9.2 \\
        org.slf4j:slf4j-reload4j:1.7.36
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from tfkafka.testing.brokers.jars import Jar, maven_context, sha256_of


def resolve(coordinates: list[str], folder: Path) -> list[Jar]:
    """Return the jars that `coordinates` need at run time, sorted by group and artifact.

    The first coordinate is Kafka itself: its dependency management applies to all.
    """
    context = maven_context(folder)
    roots = [context.create_dependency(coordinate) for coordinate in coordinates]
    for root in roots[1:]:
        # Otherwise the parent POM of a logging binding would choose Kafka's kafka-clients.
        root.raw = True
    inputs, transitive = context.resolver.resolve(roots)
    entries = {}
    for dependency in [*inputs, *transitive]:
        path = dependency.artifact.resolve()
        entries[f"{dependency.groupId}:{dependency.artifactId}"] = Jar(
            dependency.groupId,
            dependency.artifactId,
            dependency.version,
            sha256_of(path),
            path.stat().st_size,
        )
    return [entries[key] for key in sorted(entries)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="of Kafka; also the name of the lock file")
    parser.add_argument("--metadata", choices=["zookeeper", "kraft"], default="kraft")
    parser.add_argument("coordinates", nargs="+", help="GROUP:ARTIFACT:VERSION, Kafka's own first")
    arguments = parser.parse_args()

    import tomli_w

    with tempfile.TemporaryDirectory() as folder:
        jars = resolve(arguments.coordinates, Path(folder))
    lock = {
        "version": arguments.version,
        "metadata": arguments.metadata,
        "roots": arguments.coordinates,
        "jars": [asdict(jar) for jar in jars],
    }
    target = Path(__file__).parent / "locks" / f"{arguments.version}.toml"
    target.write_text(tomli_w.dumps(lock))
    print(f"{target}: {len(jars)} jars, {sum(jar.size for jar in jars) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
