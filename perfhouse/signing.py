"""Signatures in minisign's format (Ed25519): keys of this installation, made when first needed.

The same key and bytes give the same signature: no comment of ours holds a time or a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.errors import ConfigError
from perfhouse.settings import Home, write_once

if TYPE_CHECKING:
    from minisign import PublicKey, SecretKey

_COMMENT = "signature from perfhouse"
_ANOTHER = (
    "Put that key back; or, to go on with a new one, move the old public key to "
    "published/release-<its number>.pub, with a copy in secrets/, and make the change of keys known"
)


def load_or_create(path: Path) -> SecretKey:
    """Return the secret key in a file; where there is none, make one (0600, no password).

    Raises:
        ConfigError: the file holds no minisign key, or one under a password (operator).
    """
    from minisign import Error, KeyPair, SecretKey

    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, bytes(KeyPair.generate().secret_key))
    try:
        key = SecretKey.from_bytes(path.read_bytes())
    except Error:
        raise ConfigError([f"{path}: expected a minisign secret key"]) from None
    if key.is_encrypted():
        raise ConfigError([f"{path}: expected a key without a password (minisign -G -W)"])
    return key


def sign(key: SecretKey, content: bytes, trusted_comment: str) -> bytes:
    """Return the text of a `.minisig` file; `trusted_comment` is signed too, so hold no time."""
    signature = key.sign(content, untrusted_comment=_COMMENT, trusted_comment=trusted_comment)
    return bytes(signature)


def verify(public: PublicKey, content: bytes, signature: bytes) -> bool:
    """Say whether the text of a `.minisig` file is, to the byte, `sign`'s of these bytes."""
    from minisign import Error, Signature

    try:
        said = Signature.from_bytes(signature)
        public.verify(content, said)
    except Error:
        return False
    return said.untrusted_comment == _COMMENT and bytes(said) == signature


def release_key(home: Home) -> SecretKey:
    """Return the key that releases and the ledger are signed with; show its public half.

    Raises:
        ConfigError: what was published so far was signed with another key (operator).
    """
    file, shown = home.secrets / "release.minisign", home.published / "release.pub"
    return shown_key(file, shown, _ANOTHER, mode=0o444)


def shown_key(file: Path, shown: Path, advice: str, *, mode: int = 0o600) -> SecretKey:
    """Return the secret key in a file, and show its public half in another for whoever checks.

    Both are made when there is neither. `advice` tells how to go on with a new key.

    Raises:
        ConfigError: the public half that is shown is of another key, or of one that is gone
            (operator).
    """
    if shown.exists() and not file.exists():
        raise ConfigError([f"{file}: expected the key of {shown}. {advice}"])
    key = load_or_create(file)
    text = public_text(key)
    if not shown.exists():
        shown.parent.mkdir(parents=True, exist_ok=True)
        write_once(shown, text.encode("ascii"))
        shown.chmod(mode)
    if shown.read_text(encoding="ascii") != text:
        raise ConfigError([f"{file}: it is not the key of {shown}. {advice}"])
    return key


def trusted_keys(home: Home, *, earlier: bool = True) -> list[PublicKey]:
    """Return the public keys that this installation itself goes by: its own, and `earlier` ones.

    Those of earlier keys are secrets/release-*.pub: into published/ others may have put theirs. A
    home that has no signing key goes by published/release*.pub, as `verify` does.
    """
    file = home.secrets / "release.minisign"
    if not file.exists():
        return [_public_key(str(each)) for each in sorted(home.published.glob("release*.pub"))]
    kept = sorted(home.secrets.glob("release-*.pub")) if earlier else ()
    return [load_or_create(file).get_public_key(), *(_public_key(str(each)) for each in kept)]


def public_keys(given: Sequence[str], published: Path, *, or_none: bool = False) -> list[PublicKey]:
    """Read public keys: texts or files as given, else published/release*.pub.

    Raises:
        ConfigError: there is none, unless `or_none`; or one cannot be read (whoever gave it).
    """
    chosen = [*given] or [str(path) for path in sorted(published.glob("release*.pub"))]
    if not (chosen or or_none):
        raise ConfigError([f"--public-key: expected one, for {published} holds no release.pub"])
    return [_public_key(each) for each in chosen]


def _public_key(given: str) -> PublicKey:
    from minisign import Error, PublicKey

    try:
        if Path(given).is_file():
            return PublicKey.from_bytes(Path(given).read_bytes())
        return PublicKey.from_base64(given)
    except (Error, OSError, UnicodeDecodeError):
        problem = f"--public-key: expected minisign's public key or a file of it, got {given!r}"
        raise ConfigError([problem]) from None


def public_text(key: SecretKey) -> str:
    """Return the text of the public key's file, as `minisign -V -p` reads it."""
    return bytes(key.get_public_key()).decode("ascii")
