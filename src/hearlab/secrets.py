"""Passwords and tokens: hidden in all that is shown or kept, whatever text they come in.

They come as logins in addresses (https://user:p@ss@host), as named values in addresses and messages (?token=...), as
variables of the environment whose names say so, and as settings of that kind that somebody has read (`remember`).
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

HIDDEN = "***"
# Letters of a secret that is looked for in any text: at least, as a word of its own; and for sure, wherever it stands.
LEAST, SURE = 6, 12
_NAME = (
    r"pass(?:word|wd|phrase)|secret|credential|token|signature|account_?key|api_?key|access_?key(?:_?id)?|secret_?key"
)
_SECRET_NAME = re.compile(rf"(?:{_NAME})s?(?:$|_)|(?:^|_)(?:key|pass)(?:$|_)|\w_pwd$", re.IGNORECASE)
# The last @ before a slash ends a login. A password with a slash is one where what follows the colon is no port, and in
# any address of a database, as SQLAlchemy reads them.
_DATABASE = r"(?:postgres|mysql|mariadb|mssql|oracle|mongodb|redis)[\w+.-]*"


def _login_pattern(space: str) -> re.Pattern[str]:
    """For addresses in which none of the letters `space` stands."""
    letters = rf"(?:(?![{space}])(?s:.))*" if space else "(?s:.)*"
    return re.compile(
        rf"(?P<before>\b{_DATABASE}://)(?P<login>[^{space}/:@]*:{letters}|[^{space}/]*)@"
        rf"|(?P<start>\b[a-z][\w+.-]*://)(?P<any>[^{space}/]*|[^{space}/:@]*:(?!\d+(?:/|$)){letters})@",
        re.IGNORECASE,
    )


_LOGIN, _WHOLE = _login_pattern(r"\s"), _login_pattern("")  # in free text, and in an address by itself
_VALUES = (
    # ?token=...&sig=..., password=...
    re.compile(rf"(\b[\w.-]*(?:{_NAME})s?=)(?:\"[^\"]*\"|'[^']*'|[^\s&#;,\"')\]]+)", re.IGNORECASE),
    re.compile(r"([?&](?:sig|key|code|auth)=)[^\s&#\"')\]]+", re.IGNORECASE),
    # {"password": "..."}
    re.compile(rf"([\"'][\w.-]*(?:{_NAME})s?[\"']: *)(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE),
    # Headers, to the end of the text in quotes, or of the line.
    re.compile(
        r"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie|[\w-]*-(?:token|api-?key))[\"']?\s*[:=](?!\s*\*\*\*)\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\r\n\"']+)",
        re.IGNORECASE,
    ),
    re.compile(r"(\bbearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    # --password ..., and a line that ends with password: ...
    re.compile(rf"(--[\w-]*(?:{_NAME})s?\s+)[^\s\"']+", re.IGNORECASE),
    re.compile(
        rf"(\b[\w.-]*(?:{_NAME})s?[\"']?: *)[^\s\"',;)\]}}]+(?=\s*(?:$|[,;)\]}}\"']))", re.IGNORECASE | re.MULTILINE
    ),
    # Tokens that say what they are: of GitHub, GitLab, AWS, and JSON web tokens.
    re.compile(
        r"()\b(?:gh[a-z]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    ),
)
_remembered: set[str] = set()


class Login(NamedTuple):
    """Who an address says one is; a user without password may be a token."""

    user: str
    password: str


def login(address: str) -> Login | None:
    """The user and password in an address, or None."""
    match = _WHOLE.match(address)
    if match is None:
        return None
    user, _, password = _of(match)[1].partition(":")
    return Login(urllib.parse.unquote(user), urllib.parse.unquote(password))


def without_login(address: str) -> str:
    """An address without user, password and token."""
    match = _WHOLE.match(address)
    return _of(match)[0] + address[match.end() :] if match else address


def remember(settings: Mapping[str, Any]) -> None:
    """Hide the values of those settings whose names say that they are secrets, from now on."""
    _remembered.update(str(value) for name, value in settings.items() if _SECRET_NAME.search(name))


def hide(text: str) -> str:
    """A text with every secret in it replaced.

    Hide first and shorten then: a login that is cut before its @ is not known for one.
    """
    for secret in _known():
        if secret in text:
            word = len(secret) < SURE  # else it could be a part of a word that has nothing to do with it
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)" if word else re.escape(secret), HIDDEN, text)
    if "://" in text:
        text = _LOGIN.sub(lambda match: f"{_of(match)[0]}{HIDDEN}@", text)
    for pattern in _VALUES:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def hide_within(value: Any) -> Any:
    """The same for all texts of a structure."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {name: hide_within(one) for name, one in value.items()}
    return [hide_within(one) for one in value] if isinstance(value, list | tuple) else value


def _of(match: re.Match[str]) -> tuple[str, str]:
    """Start and login of an address."""
    return match["before"] or match["start"], match["login"] or match["any"] or ""


def _known() -> list[str]:
    """Secrets that are known in themselves, the longest first."""
    found = set(_remembered)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name):
            if not (value.startswith("/") and os.path.exists(value)):
                found |= {value, urllib.parse.quote(value, safe=""), *value.splitlines()}
        elif match := _WHOLE.match(value):
            found |= _parts(_of(match)[1], re.split("[/:?#]", value[match.end() :])[0])
    # A number could be anything.
    return sorted((one for one in found if len(one) >= (SURE if one.isdigit() else LEAST)), key=len, reverse=True)


def _parts(raw: str, host: str) -> set[str]:
    """What a program that splits an address elsewhere, or decodes its login, can print of it."""
    user, _, password = raw.partition(":")
    secret = user if password in ("", "x-oauth-basic") else password
    # With p@ss@host some look for the host ss@host.
    return {raw, secret, urllib.parse.unquote(secret), *(f"{part}@{host}" for part in re.split("[@/:?#]", raw)[1:])}
