"""Redaction: secrets are found in whatever form they are written, and ordinary words are left alone."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from releasekit import redaction
from releasekit.redaction import REDACTED, keep_secret, redact, redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "canary-0123456789"
ODD = 'canary-S3cr3t%2F+x/"&\\é'


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_kept", set())


@pytest.mark.parametrize(
    "name",
    [
        "UV_PUBLISH_TOKEN",
        "UV_PUBLISH_PASSWORD",
        "UV_INDEX_INTERNAL_PASSWORD",
        "TWINE_PASSWD",
        "my_secret",
        "API_KEY",
        "ApiKey",
        "AWS_ACCESS_KEY_ID",
        "SIGNING_PRIVATE_KEY",
        "CREDENTIALS",
    ],
)
def test_the_value_of_a_variable_named_like_a_secret_is_redacted(name: str) -> None:
    assert redact(f"a{CANARY}b {CANARY}", {name: CANARY}) == f"a{REDACTED}b {REDACTED}"


@pytest.mark.parametrize("name", ["HOME", "KEYBOARD", "KEYMAP", "UV_PUBLISH_USERNAME"])
def test_the_value_of_another_variable_is_not(name: str) -> None:
    assert redact(f"in {CANARY}", {name: CANARY}) == f"in {CANARY}"


def test_a_short_value_is_no_secret_since_it_would_blank_out_words() -> None:
    assert redact("a test of 12345 and 123456", {"TOKEN": "12345"}) == "a test of 12345 and 123456"
    assert redact("a test of 123456", {"TOKEN": "123456"}) == f"a test of {REDACTED}"
    assert redact("text", {"TOKEN": ""}) == "text"


@pytest.mark.parametrize("name", ["UV_PUBLISH_PASSWORD", "UV_PUBLISH_TOKEN", "UV_INDEX_LOCAL_PASSWORD"])
def test_a_short_secret_of_uv_is_redacted_where_it_stands_as_a_word(name: str) -> None:
    environ = {name: "abc\n", f"{name.rpartition('_')[0]}_USERNAME": "me", "TOKEN": "xyz"}

    said = f"You said {b64('me:abc')}, {b64('__token__:abc')}, me:abc, xyz in abcd"
    assert redact(said, environ) == f"You said {REDACTED}, {REDACTED}, me:{REDACTED}, xyz in abcd"
    assert redact("ab in abc", {name: "ab"}) == "ab in abc"


def test_a_secret_that_holds_another_is_redacted_whole() -> None:
    assert redact("secret-1-long", {"A_TOKEN": "secret-1", "B_TOKEN": "secret-1-long"}) == REDACTED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host/x", f"https://{REDACTED}@host/x"),
        ("https://token@host", f"https://{REDACTED}@host"),
        ("https://user:p@ss@host/x", f"https://{REDACTED}@host/x"),
        ("git+ssh://git@host/x.git", f"git+ssh://{REDACTED}@host/x.git"),
        (
            "http://a:b@one/ and http://c:d@two/",
            f"http://{REDACTED}@one/ and http://{REDACTED}@two/",
        ),
        ("https://user:pa/ss@host/x", f"https://{REDACTED}@host/x"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host:80/a@b", "https://host:80/a@b"),
        ("https://host/x", "https://host/x"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_the_user_part_of_a_url_is_redacted(text: str, shown: str) -> None:
    assert redact(text, {}) == shown


def test_redact_reads_the_environment_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact(CANARY) == CANARY
    monkeypatch.setenv("UV_PUBLISH_TOKEN", CANARY)
    assert redact(CANARY) == REDACTED


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def b64_of_urls(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a url": lambda secret: quote(secret, safe=""),
    "in a url, but for slashes": quote,
    "in a url, but for what may stand in a user part": lambda secret: quote(secret, safe="!$&'()*+,"),
    "in a form": quote_plus,
    "in a url, in small letters": lambda secret: re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in HTML": lambda secret: secret.replace("&", "&amp;").replace('"', "&quot;"),
    "in base64 alone": b64,
    "in base64 with a user": lambda secret: b64(f"__token__:{secret}"),
    "in base64 with a user of two characters": lambda secret: b64(f"me:{secret}"),
    "in base64 without a user": lambda secret: b64(f":{secret}"),
    "in base64 as it is for urls": lambda secret: b64_of_urls(f"someone:{secret}"),
    "in base64 without its end": lambda secret: b64(f"someone:{secret}").rstrip("="),
    "in base64 as it stands in a url": lambda secret: b64(f"someone:{quote(secret, safe='')}"),
}


@pytest.mark.parametrize("secret", [CANARY, ODD, "å" * 6, "pypi-" + "Ag" * 80], ids=["plain", "odd", "accents", "long"])
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str, secret: str) -> None:
    written = FORMS[form](secret)

    assert redact(f"said <{written}>, {written}", {"UV_PUBLISH_PASSWORD": secret}) == f"said <{REDACTED}>, {REDACTED}"


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "__token__", "someone@example.org"])
@pytest.mark.parametrize("more", ["", "\n", "more"])
def test_base64_of_a_secret_is_found_beside_whatever_is_encoded_with_it(user: str, more: str) -> None:
    assert redact(b64(f"{user}:{CANARY}{more}"), {"TOKEN": CANARY}) == REDACTED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("You said Basic dXNlcjpodW50ZXIy.", f"You said Basic {REDACTED}."),
        ("basic\n   dXNlcjpodW50ZXIy", f"basic\n   {REDACTED}"),
        ("Bearer abc.def-123_x==", f"Bearer {REDACTED}"),
        ("Authorization: Token hunter2", f"Authorization: {REDACTED}"),
        ("authorization=hunter2 x\nmore", f"authorization={REDACTED}\nmore"),
        ('{"authorization": "Basic dXNlcjpodW50ZXIy"}', f'{{"authorization": "{REDACTED}"}}'),
        ("Proxy-Authorization: Basic dXNlcjpodW50ZXIy", f"Proxy-Authorization: {REDACTED}"),
        ("Authorization:\n  Basic\n  dXNlcjpodW50ZXIy", f"Authorization:\n  {REDACTED}\n  {REDACTED}"),
        ("Using HTTP Basic authentication", "Using HTTP Basic authentication"),
        ("Basic credentials are needed, or a bearer token", "Basic credentials are needed, or a bearer token"),
        ("authorization failed", "authorization failed"),
    ],
)
def test_what_looks_like_credentials_is_redacted_and_ordinary_words_are_not(text: str, shown: str) -> None:
    assert redact(text, {}) == shown
    assert redact(shown, {}) == shown


@pytest.mark.parametrize(
    "text",
    [
        "machine 127.0.0.1 login user password {}",
        "default login user password {}\n",
        'machine a\n  login user\n  password "{}"',
        "this is no netrc file\npassword {}",
        "\udcff password {}",
    ],
)
@pytest.mark.parametrize("variable", ["NETRC", "HOME"])
def test_the_passwords_of_the_netrc_file_are_redacted_whatever_else_is_in_it(
    variable: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / ".netrc"
    path.write_bytes(text.format(CANARY).encode(errors="surrogateescape"))
    environ = {variable: str(path if variable == "NETRC" else tmp_path)}

    assert redact(f"{CANARY} {b64('user:' + CANARY)}", environ) == f"{REDACTED} {REDACTED}"


def test_a_netrc_password_may_be_quoted_and_escaped(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(r'machine a login b password "one \"two\" \\three"')
    environ = {"NETRC": str(tmp_path / "netrc")}

    assert redact(r'got one "two" \three', environ) == f"got {REDACTED}"


def test_a_secret_is_found_without_the_newline_that_its_variable_has() -> None:
    assert redact(f"got {CANARY}.", {"TOKEN": f"{CANARY}\n"}) == f"got {REDACTED}."


def test_no_netrc_file_or_one_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / "none" / "none"):
        assert redact(CANARY, {"NETRC": str(path)}) == CANARY


def test_a_password_of_a_url_that_was_kept_secret_is_redacted_where_it_stands_alone() -> None:
    written = quote(ODD, safe="")
    keep_secret("", "http://host/", f"https://user:{written}@host/simple/")

    for said in (ODD, written, b64(f"user:{ODD}"), b64(f"user:{written}")):
        assert redact(f"user said {said}", {}) == f"user said {REDACTED}"


def test_a_password_of_a_url_in_the_environment_is_redacted_where_it_stands_alone() -> None:
    environ = {"UV_INDEX": f"http://host/ one=http://user:{CANARY}@host/"}

    assert redact(f"user {CANARY}", environ) == f"user {REDACTED}"


def test_a_token_in_the_query_of_a_url_that_was_kept_secret_is_redacted() -> None:
    keep_secret("http://host/?token=hunter&form=simple&x=canary-0123456789#y", "http://host/?key=short")

    assert redact("hunter simple http://host/?x=canary-0123456789&key=short", {}) == (
        f"{REDACTED} simple http://host/?x={REDACTED}&key=short"
    )


def test_a_user_without_a_password_is_a_token_if_it_is_long() -> None:
    keep_secret(f"http://{CANARY}@host/", "http://deploy@host/")

    assert redact(f"{CANARY} deploy", {}) == f"{REDACTED} deploy"


@pytest.mark.parametrize(
    "hostile",
    [
        "://" * 50_000,
        "a" * 200_000,
        "Basic " * 30_000,
        "authorization:" * 15_000,
        "authorization " + "x" * 200_000,
        "canary-" * 30_000,
        "://" + "a" * 200_000,
        "://a:b/" * 30_000,
    ],
    ids=lambda text: text[:16],
)
def test_a_long_text_takes_time_in_proportion(hostile: str) -> None:
    before = time.process_time()
    redact(hostile, {"TOKEN": ODD, "PASSWORD": CANARY})

    assert time.process_time() - before < 2  # quadratic time would be minutes


NPM_TOKEN = "npm_" + "a1B2c3D4e5F6" * 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {NPM_TOKEN} is bad", f"token {REDACTED} is bad"),
        ("npm_config_registry and npm_abc", "npm_config_registry and npm_abc"),
        ("//host/:_authToken=abc-1", f"//host/:_authToken={REDACTED}"),
        ("//host/:_authToken = 'abc-1'", f"//host/:_authToken = '{REDACTED}'"),
        ('{"_authToken": "abc-1", "x": 1}', f'{{"_authToken": "{REDACTED}", "x": 1}}'),
        ("_auth=dTpw\n_password=eHl6", f"_auth={REDACTED}\n_password={REDACTED}"),
        ("write //host/:_authToken=${NPM_TOKEN}", "write //host/:_authToken=${NPM_TOKEN}"),
        ("always_auth=true", "always_auth=true"),
    ],
)
def test_what_npm_calls_a_token_or_a_password_is_redacted(text: str, shown: str) -> None:
    assert redact(text, {}) == shown


def test_what_a_file_of_npms_settings_has_is_redacted_wherever_it_stands(tmp_path: Path) -> None:
    npmrc = tmp_path / ".npmrc"
    npmrc.write_text(
        f"registry=http://127.0.0.1/\n//a/:_authToken={CANARY}\n//b/:_password={b64('hunter-2-hunter')}\n"
        f"//c/:_auth={b64('me:correct-horse')}\n//d/:_authToken=${{NPM_TOKEN}}\n//e/:_password=abc\n//f/:username=alice\n"
    )
    redaction.keep_npmrc_secret(npmrc, tmp_path, tmp_path / "none")

    said = f"You said {CANARY}, {b64('hunter-2-hunter')}, hunter-2-hunter, correct-horse, abc, ${{NPM_TOKEN}}, alice"
    assert redact(said, {}) == f"You said {', '.join([REDACTED] * 4)}, abc, ${{NPM_TOKEN}}, alice"


def test_a_variable_with_npms_basic_authentication_is_a_secret() -> None:
    assert redact(f"a {CANARY}", {"npm_config__auth": CANARY, "NPM_CONFIG_ALWAYS_AUTHOR": "a"}) == f"a {REDACTED}"


@pytest.mark.parametrize("text", ["authorization=hunter2hunter2", f"npm_{'a1' * 18}", "_authToken=hunter2"])
def test_credentials_are_found_though_nothing_else_is_in_the_text(text: str) -> None:
    assert REDACTED in redact(text, {})


def test_a_redactor_knows_what_is_kept_secret_later() -> None:
    redacted = redactor({})
    keep_secret("https://user:canary-of-later@host/")
    assert redacted("a canary-of-later flew") == f"a {REDACTED} flew"
