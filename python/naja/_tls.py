"""TLS by the interpreter's own `ssl`: what the options mean."""

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
