"""A local https server with a certificate of its own authority, and how tests reach it."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from latentsync.server.internet.addresses import Reach
from tests.support.loopback import Loopback

HOST = "media.example"
"""The name that the certificate is of; lookups of tests lead from it to this machine."""


class SecureLoopback(Loopback):
    """`with SecureLoopback() as server: server.add("/a", Served(b"..."))`: its URL, with HOST."""

    def __init__(self) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    def reach(self, *addresses: str) -> Reach:
        """Leads every name to this machine, or to the addresses."""
        trust = ssl.create_default_context(cafile=str(_certificate()))
        found = addresses or ("127.0.0.1",)
        return Reach(frozenset({self.port}), local=True, lookup=lambda *_: found, trust=trust)


@cache
def _certificate() -> Path:
    """A file with the key, and with a certificate that is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = Path(tempfile.mkdtemp(), "server.pem")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(pem, form, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    return path
