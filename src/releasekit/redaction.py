"""What must be neither shown nor stored, and how it is found in a text in whatever form it is written there.

Secrets are known from the environment, from the netrc file, and from who calls `keep_secret`. A server or a tool may
say them again in another form: percent-encoded as in a URL, in base64 as Basic authentication has them, escaped as in
JSON or HTML. All of these are looked for. What looks like credentials is blanked out too, known or not: the user part
of a URL, what follows ``Authorization:``, ``Basic`` or ``Bearer``, and npm's tokens and settings of that kind.

Redact a text before it is cut, wrapped or escaped: a secret is found only whole.
"""

from __future__ import annotations

import base64
import json
import os
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

REDACTED: Final = "[redacted]"
SHORTEST_SECRET: Final = 6
"""Characters; a shorter value would blank out ordinary words."""

SHORTEST_WORD: Final = 3
"""Characters of a secret in uv's own variables: shorter than others, it is looked for only where it stands as a word.
One that is still shorter would be found in every version, and where it is blanked out would tell what it is."""

_SHORTEST_TOKEN: Final = 16  # characters; a shorter user without a password is rather a name
_SECRET_NAME: Final = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|KEY(?![A-Z])|CREDENTIAL|_AUTH$", re.IGNORECASE)
_UV_SECRET: Final = re.compile(r"UV_(?:PUBLISH|INDEX_\w+)_(?:PASSWORD|TOKEN)")
_USER_INFO: Final = re.compile(
    r"(?<=://)"
    r"(?:[^/\s]+"  # to the last @: a password may have one
    r"|[^/\s:@]*:(?!\d*(?:[/?#\s]|$))\S{1,256})"  # or a slash, if what is before it is no port
    r"(?=@)"
)
_QUERY: Final = re.compile(r"[?&]([^=&#\s]*)=([^&#\s]+)")
_NETRC_PASSWORD: Final = re.compile(r'(?<!\S)password\s+("(?:[^"\\]|\\.)*"|\S+)')
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_SAID: Final = re.compile(r"\b(basic|bearer)(\s+)([A-Za-z0-9+/_.~-]{5,}[A-Za-z0-9+/_~-]={0,2})", re.IGNORECASE)
_HEADER: Final = re.compile(r"(\bauthorization[\"']?\s*[:=]\s*[\"']*)[^\s\"',;][^\n\"',;]*", re.IGNORECASE)
_NPM_TOKEN: Final = re.compile(r"\bnpm_[A-Za-z0-9]{36,}")
_NPM_SETTING: Final = re.compile(
    r"((?<!\w)_(?:auth|authToken|password)[\"']?\s*[:=]\s*[\"']?)(?!\$\{|…)([^\s\"',;]+)"  # ${…} names a variable
)
_SIGN: Final = re.compile(r"[\s:=]|npm_")
"""Something that is in all that these patterns find. What has none of it, as a name or a version, is not looked at."""

_ESCAPES: Final = re.compile(r"%[0-9A-F]{2}")
_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_UNESCAPED: Final = ("", "/", "!$&'()*+,", "!$%&'()*+,", "!$&'()*+,;=")
"""Which characters clients leave as they are when they write a password into a URL: each its own."""

_kept: Final[set[str]] = set()


def redact(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Blank out what must not be shown or stored.

    Args:
        text: Any text, for instance what a child process printed.
        environ: The values of its variables named like a token, password, secret, key or credential are
            secrets, if they have at least six characters, or three in uv's own variables; so are the passwords of
            the netrc file that its NETRC or HOME leads to, and those of URLs among its values.

    Returns:
        The text without these values in any form, without what was kept secret, and without what looks like
        credentials.
    """
    return redactor(environ)(text)


def redactor(environ: Mapping[str, str] = os.environ) -> Callable[[str], str]:
    """Make what does to many texts what `redact` does to one: to look at the whole environment takes the most time.

    What is kept secret later, it knows too.
    """
    values = dict(environ)  # once: each of os.environ is decoded whenever it is looked at
    told = frozenset(_of_environ(values))
    words = sorted({*_short_of_uv(values)}, key=len, reverse=True)
    alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)") if words else None

    def redacted(text: str) -> str:
        written, encoded = _forms(told.union(_kept))
        for form in written:
            text = text.replace(form, REDACTED)
        if any(part in text for part in encoded):
            text = _BASE64.sub(lambda run: REDACTED if any(part in run[0] for part in encoded) else run[0], text)
        if alone:
            text = alone.sub(REDACTED, text)
        if not _SIGN.search(text):
            return text
        text = _HEADER.sub(rf"\1{REDACTED}", _SAID.sub(_without_credentials, text))
        text = _NPM_SETTING.sub(rf"\1{REDACTED}", _NPM_TOKEN.sub(REDACTED, text))
        return _USER_INFO.sub(REDACTED, text)

    return redacted


def keep_secret(*urls: str) -> None:
    """Have the passwords in some URLs, and the tokens in their queries, redacted from now on, wherever they stand."""
    _kept.update(_of_urls(urls))


def keep_npmrc_secret(*files: Path) -> None:
    """Have the credentials in some files of npm's settings redacted from now on; what can't be read has none."""
    for file in files:
        for _, value in _NPM_SETTING.findall(_text(file)):
            # A password, and `user:password`, stand there in base64.
            decoded = {value, *_decoded(value)}
            _kept.update(each for each in decoded if len(each) >= SHORTEST_SECRET)


def netrc_of(environ: Mapping[str, str]) -> Path | None:
    """Find the netrc file that tools are meant to read: what NETRC names, else the one at home."""
    if named := environ.get("NETRC"):
        return Path(named)
    home = environ.get("HOME")
    return Path(home, ".netrc") if home else None


def _of_environ(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        secret = value.strip()  # of a file's last newline, say
        if len(secret) >= SHORTEST_SECRET and _is_secret(name):
            yield secret
        if "://" in value and "@" in value:
            yield from _of_urls(value.split())
    if netrc := netrc_of(environ):
        yield from _of_netrc(netrc)


def _short_of_uv(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the secrets of uv's variables that are too short to be looked for within words, also as they are sent."""
    for name, value in environ.items():
        secret = value.strip()
        if SHORTEST_WORD <= len(secret) < SHORTEST_SECRET and _UV_SECRET.fullmatch(name):
            user = environ.get(f"{name.rpartition('_')[0]}_USERNAME", "")
            yield secret
            yield from (base64.b64encode(f"{each}:{secret}".encode()).decode() for each in (user, "__token__"))


@cache
def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name))


def _of_urls(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        if found := _USER_INFO.search(url):
            user, _, password = found[0].partition(":")
            if len(password) >= SHORTEST_SECRET:
                yield password
            elif not password and len(user) >= _SHORTEST_TOKEN:
                yield user
        for name, value in _QUERY.findall(url):
            if len(value) >= (SHORTEST_SECRET if _is_secret(name) else _SHORTEST_TOKEN):
                yield value


@cache  # it is read once, however much is logged
def _of_netrc(path: Path) -> frozenset[str]:
    """Read the passwords, without a parser: what one refuses, another tool may still read."""
    found = {form for each in _NETRC_PASSWORD.findall(_text(path)) for form in (each, each.strip('"'), _unquoted(each))}
    return frozenset(password for password in found if len(password) >= SHORTEST_SECRET)


def _text(path: Path) -> str:
    try:
        # Never a pipe, which can be read but once.
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""


def _decoded(value: str) -> Iterator[str]:
    """Give what a value has in base64, and of that what follows a user's name."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return
    yield text
    yield text.partition(":")[2]


def _unquoted(word: str) -> str:
    """Read a word of a netrc file as Python's parser does."""
    return re.sub(r"\\(.)", r"\1", word.removeprefix('"').removesuffix('"'))


@lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> tuple[list[str], set[str]]:
    """Say how secrets may be written, the longest first, and what is in every base64 of something with one in it."""
    values = {value for value in secrets.union(map(unquote, secrets)) if len(value) >= SHORTEST_SECRET}
    in_urls = {form for value in values for form in _in_url(value)}
    others = {form for value in values for form in (json.dumps(value)[1:-1], value.translate(_HTML))}
    encoded = {part for value in values | in_urls for part in _in_base64(value)}
    return sorted(values | in_urls | others, key=len, reverse=True), encoded


def _in_url(value: str) -> Iterator[str]:
    for form in (quote_plus(value, errors="replace"), *(quote(value, safe, errors="replace") for safe in _UNESCAPED)):
        yield form
        yield _ESCAPES.sub(lambda escape: escape[0].lower(), form)


def _in_base64(value: str) -> Iterator[str]:
    """Give what base64 has in common wherever the value begins among others: its user's name can be any."""
    for before in range(3):
        raw = bytes(before) + value.encode(errors="replace")
        # Six bits a character; the first and the last one may hold bits of what is beside the value.
        part = base64.b64encode(raw).decode()[-(-before * 8 // 6) : len(raw) * 8 // 6]
        yield part
        yield part.translate({ord("+"): "-", ord("/"): "_"})


def _without_credentials(said: re.Match[str]) -> str:
    scheme, space, token = said.groups()
    return f"{scheme}{space}{REDACTED}" if _looks_like_credentials(scheme, token) else said[0]


def _looks_like_credentials(scheme: str, token: str) -> bool:
    """Tell credentials from ordinary words, as in "Basic authentication"."""
    if scheme.lower() == "bearer":
        return any(map(str.isdigit, token)) or len(token) > 2 * _SHORTEST_TOKEN
    token = token.rstrip("=")
    try:
        return b":" in base64.urlsafe_b64decode(token.replace("+", "-").replace("/", "_") + "=" * (-len(token) % 4))
    except ValueError:
        return False
