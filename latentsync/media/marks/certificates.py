"""Makes a certificate of one's own, to sign with: a root, and a leaf below it.

It proves that a file was not changed after the owner of the key signed it. It proves nobody's name:
whoever verifies the file has to know the root.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

from latentsync.errors import ConfigError
from latentsync.media.marks.manifests import INSTALL

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

CHAIN, KEY, ROOT = "sign.cert.pem", "sign.key.pem", "root.cert.pem"
"""The leaf and the root; the leaf's private key; the root alone, for those who verify."""
_DAYS = 3650


def make_certificate(folder: Path, name: str) -> None:
    """Writes CHAIN, KEY and ROOT into the folder. The root's private key is not kept.

    name: of the signer, as shown by programs that verify. Raises ConfigError: one of the files is
    there already, the folder cannot be written, or the package is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ConfigError("make-cert", "the package cryptography is missing", INSTALL) from error
    for path in (folder / CHAIN, folder / KEY, folder / ROOT):
        if path.exists():
            raise ConfigError("make-cert", path, "it exists already; choose another folder")
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate(f"{name} (root)", root_key, f"{name} (root)", root_key, is_root=True)
    leaf = _certificate(name, key, f"{name} (root)", root_key, is_root=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / KEY, _pem_of_key(key), 0o600)
        _write(folder / CHAIN, _pem(leaf) + _pem(root), 0o644)
        _write(folder / ROOT, _pem(root), 0o644)
    except OSError as error:
        raise ConfigError(
            "make-cert", folder, f"{error.strerror}; choose another folder"
        ) from error


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signing_key: ec.EllipticCurvePrivateKey,
    *,
    is_root: bool,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    own, signer = key.public_key(), signing_key.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(own)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )
    path_length = 0 if is_root else None
    made = made.add_extension(x509.BasicConstraints(is_root, path_length), critical=True)
    made = made.add_extension(_usage(is_root=is_root), critical=True)
    subject = x509.SubjectKeyIdentifier.from_public_key(own)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer)
    made = made.add_extension(subject, critical=False).add_extension(authority, critical=False)
    if not is_root:  # one of the purposes that C2PA accepts, and the only one that fits anybody
        purposes = [x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]
        made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return made.sign(signing_key, hashes.SHA256())


def _usage(*, is_root: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    from cryptography import x509

    both = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    return x509.Name([x509.NameAttribute(kind, name[:64]) for kind in both])


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """A new file; one that is there is never replaced. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
