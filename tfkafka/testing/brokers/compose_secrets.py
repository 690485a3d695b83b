"""Write what the secured broker of docker-compose.yml and its clients need.

    python -m tfkafka.testing.brokers.compose_secrets [FOLDER]

makes a certificate authority, a certificate, and the passwords of two users, all of them new.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import private
from tfkafka.testing.brokers.certificates import CertificateAuthority
from tfkafka.testing.brokers.listener import SecuredListener
from tfkafka.testing.brokers.packages import what_is_missing
from tfkafka.testing.brokers.security import Security
from tfkafka.testing.brokers.settings import write_properties

# docker-compose.yml looks for it there, unless KAFKA_SECRETS names another folder.
DEFAULT_FOLDER = "artifacts/docker"
ADMIN, USER = "admin", "user"
MECHANISM = "SCRAM-SHA-512"
# Where the folder `broker` is in the container: the image reads server.properties there.
MOUNTED = "/mnt/shared/config"
SUPER_USERS = {"super.users": f"User:ANONYMOUS;User:{ADMIN}"}


def write(folder: Path) -> None:
    """Write all files into a folder; those of an earlier call are replaced.

    Raises BrokerError where the folder cannot be written.
    """
    try:
        private.make_folder(folder)
        _write(folder.resolve())
    except OSError as error:
        raise BrokerError(f"cannot write to {folder}: {error.strerror}") from error


def _write(folder: Path) -> None:
    broker = folder / "broker"
    passwords = {user: secrets.token_urlsafe(24) for user in (ADMIN, USER)}
    security = Security((MECHANISM, "PLAIN"), "server", passwords, acls=True)
    listener = SecuredListener(security, CertificateAuthority(broker))
    properties = {**listener.protection(), **SUPER_USERS}
    write_properties(
        broker / "server.properties", {name: _inside(properties[name]) for name in properties}
    )
    private.make_folder(broker / "users")
    for user, password in passwords.items():
        stored = {MECHANISM: f"iterations=4096,password={password}"}
        write_properties(broker / "users" / user, stored)
        settings = listener.client_settings(user, MECHANISM)
        private.write_client_settings(folder / f"{user}.properties", settings)
    _let_the_container_read(broker)


def _inside(value: object) -> object:
    """Return a setting as the container has it: a file is where its folder is mounted."""
    return f"{MOUNTED}/{value.name}" if isinstance(value, Path) else value


def _let_the_container_read(broker: Path) -> None:
    # The broker is another user there. On this machine none but the owner can enter `folder`.
    for path in (broker, *broker.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="%(default)s")
    folder = parser.parse_args().folder
    if missing := what_is_missing():
        sys.exit(missing)
    try:
        write(folder)
    except BrokerError as error:
        sys.exit(f"error: {error}")
    print(f"wrote {folder}/{ADMIN}.properties and {folder}/{USER}.properties for clients")


if __name__ == "__main__":
    main()
