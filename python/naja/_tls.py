"""TLS by the interpreter's own `ssl`: what the options mean, and what a login can be tied to."""

import os
import pathlib
import ssl
import typing

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Encryption(typing.NamedTuple):
    """How to connect."""

    # "disable", "allow", "prefer" or "require"
    mode: str
    # None where nothing is encrypted.
    context: typing.Optional[ssl.SSLContext]


def encryption_of(word: typing.Any, files: typing.Mapping[str, str], is_of_libpq: bool = True) -> Encryption:
    """From `ssl=` as asyncpg takes it: a context, True, False, a mode of libpq's, or None for what is usual.

    `files` has `sslrootcert`, `sslcert`, `sslkey` and `sslcrl`, where the URL names them; what it does not say, libpq's
    variables and files do, if `is_of_libpq`.
    """
    if isinstance(word, ssl.SSLContext):
        return Encryption("require", word)
    if word is True:
        return Encryption("require", ssl.create_default_context())
    if word is False:
        return Encryption("disable", None)
    usual = (os.environ.get("PGSSLMODE") if is_of_libpq else None) or "prefer"
    mode = usual if word is None else str(word)
    if mode not in _MODES:
        raise ValueError(f"`ssl` is one of {', '.join(_MODES)}, True, False or an SSLContext")
    if mode == "disable":
        return Encryption(mode, None)
    return Encryption("require" if mode.startswith("verify") else mode, context_of(mode, files, is_of_libpq))


def context_of(mode: str, files: typing.Mapping[str, str], is_of_libpq: bool = True) -> ssl.SSLContext:
    """What a connection is encrypted with by this mode of libpq's.

    What `files` do not say, libpq's variables and the files in `~/.postgresql` do, if `is_of_libpq`.
    """
    own = pathlib.Path.home() / ".postgresql"

    def file_of(name: str, variable: str, usual: str) -> typing.Optional[str]:
        named = files.get(name)
        if named or not is_of_libpq:
            return named
        if os.environ.get(variable):
            return os.environ[variable]
        return str(own / usual) if (own / usual).exists() else None

    trusted = file_of("sslrootcert", "PGSSLROOTCERT", "root.crt")
    context = ssl.create_default_context(cafile=None if trusted == "system" else trusted)
    context.check_hostname = mode == "verify-full"
    # As libpq: whoever has a list of whom to trust wants it looked at.
    if not mode.startswith("verify") and not (mode == "require" and trusted):
        context.verify_mode = ssl.CERT_NONE
    revoked = file_of("sslcrl", "PGSSLCRL", "root.crl")
    if revoked and context.verify_mode != ssl.CERT_NONE:
        context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    certificate = file_of("sslcert", "PGSSLCERT", "postgresql.crt")
    key = file_of("sslkey", "PGSSLKEY", "postgresql.key")
    if certificate:
        context.load_cert_chain(certificate, keyfile=key)
    return context


def end_point(certificate: typing.Optional[bytes]) -> typing.Optional[bytes]:
    """The hash of a certificate by which a login is tied to the connection (RFC 5929, `tls-server-end-point`).

    None where it cannot be told: for signatures without a hash of their own, and for what is no certificate.
    """
    import hashlib

    if not certificate:
        return None
    try:
        name = _HASHES.get(_signature(certificate))
    except (IndexError, ValueError):
        return None
    return hashlib.new(name, certificate).digest() if name else None


# By the object identifier of the signature; for MD5 and SHA-1 SHA-256 stands in.
_HASHES = {
    bytes.fromhex("2a864886f70d010104"): "sha256",  # md5WithRSA
    bytes.fromhex("2a864886f70d010105"): "sha256",  # sha1WithRSA
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a864886f70d01010e"): "sha224",
    bytes.fromhex("2a8648ce3d0401"): "sha256",  # ecdsa with SHA-1
    bytes.fromhex("2a8648ce3d040301"): "sha224",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}


def _signature(certificate: bytes) -> bytes:
    """The identifier of the signature: Certificate is a sequence of what is signed, how, and the signature."""
    _, start, _ = _element(certificate, 0)
    _, _, after_signed = _element(certificate, start)
    _, start, _ = _element(certificate, after_signed)
    tag, start, end = _element(certificate, start)
    if tag != 6:
        raise ValueError("no identifier")
    return certificate[start:end]


def _element(der: bytes, place: int) -> typing.Tuple[int, int, int]:
    """The tag of an element, where its content begins, and where it ends."""
    tag, length = der[place], der[place + 1]
    place += 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length that is none")
        length = int.from_bytes(der[place : place + count], "big")
        place += count
    if place + length > len(der):
        raise ValueError("cut off")
    return tag, place, place + length
