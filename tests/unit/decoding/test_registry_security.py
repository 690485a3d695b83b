"""Who asks a schema registry: basic and bearer authentication, and client certificates."""

from __future__ import annotations

import base64
import ssl
import time

import pytest
import trustme

from tests.unit.decoding.avro_samples import record, written
from tests.unit.decoding.registries import registry
from tests.unit.messages import chunk
from tfkafka.decoding.avro import AvroDecoder
from tfkafka.errors import ReadError

SCHEMA = record("R", [("x", "float")])
SCHEMAS = {7: SCHEMA}
RECORDS = [written(SCHEMA, {"x": 0.5}, 7)]
BASIC = "Basic " + base64.b64encode(b"alice:hunter2").decode()
BEARER = {
    "bearer.auth.credentials.source": "STATIC_TOKEN",
    "bearer.auth.token": "hunter2",
    "bearer.auth.logical.cluster": "lsrc-1",
    "bearer.auth.identity.pool.id": "pool-1",
}


def decoded(url, config=None):
    """What a record is decoded to."""
    decode = AvroDecoder(["x"], registry=url, registry_config=config)
    return decode.decode(chunk(RECORDS)).arrays[0].tolist()


def refusal(url, config=None) -> str:
    """The error of a registry that refuses, which comes soon."""
    began = time.monotonic()
    with pytest.raises(ReadError, match=url) as raised:
        decoded(url, config)
    assert time.monotonic() - began < 15
    text = str(raised.value)
    assert "\n" not in text and "hunter2" not in text
    return text


@pytest.mark.parametrize(
    ("authorization", "config"),
    [(BASIC, {"basic.auth.user.info": "alice:hunter2"}), ("Bearer hunter2", BEARER)],
)
def test_users_and_tokens(authorization, config):
    with registry(SCHEMAS, authorization) as url:
        assert decoded(url, config) == [[0.5]]
        assert "answered 401 Unauthorized" in refusal(url)
        assert "answered 401 Unauthorized" in refusal(
            url, {"basic.auth.user.info": "mallory:hunter2"}
        )


def test_certificates(tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    paths = {}
    for name, each in (("right", authority), ("foreign", other)):
        each.cert_pem.write_to_path(tmp_path / f"{name}-ca.pem")
        each.issue_cert("alice").private_key_and_cert_chain_pem.write_to_path(
            tmp_path / f"{name}.pem"
        )
        paths[name] = str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}-ca.pem")

    def config(certificate, ca):
        return {"ssl.certificate.location": paths[certificate][0], "ssl.ca.location": paths[ca][1]}

    with registry(SCHEMAS, context=context) as url:
        assert decoded(url, config("right", "right")) == [[0.5]]
        assert "certificate verify failed" in refusal(url, config("right", "foreign"))
        refusal(url, config("foreign", "right"))
        refusal(url, {"ssl.ca.location": paths["right"][1]})
