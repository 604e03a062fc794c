"""Secrets are hidden, whatever text they come in, and nothing else is."""

from __future__ import annotations

import sys
import urllib.error

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.cli import hidden_output
from hearlab.errors import InputError
from hearlab.secrets import hide, hide_within, login, remember, without_login


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x postgresql://me:pw@host:5432/db y", "x postgresql://***@host:5432/db y"),
        ("x postgresql+psycopg2://me:p/w@host:5432/db y", "x postgresql+psycopg2://***@host:5432/db y"),
        ("x postgresql://me:80/w@host:5432/db y", "x postgresql://***@host:5432/db y"),
        ("x https://user:p@ss@host/x y@z", "x https://***@host/x y@z"),
        ("x https://user:p/ss@host/x", "x https://***@host/x"),
        ("x https://token@host/x", "x https://***@host/x"),
        ("x https://token:@host", "x https://***@host"),
        ("fatal: 'https://TOKEN:x-oauth-basic@host/a.git/' gone", "fatal: 'https://***@host/a.git/' gone"),
        ("two https://a:b@c https://d:e@f", "two https://***@c https://***@f"),
        ("https://host/x?token=abc&page=2", "https://host/x?token=***&page=2"),
        ("https://host/x?sv=1&sig=a%2Bb&X-Amz-Signature=c", "https://host/x?sv=1&sig=***&X-Amz-Signature=***"),
        ("connection failed: host=h password=pw1 user=u", "connection failed: host=h password=*** user=u"),
        ("{'user': 'u', 'password': 'pw1'}", "{'user': 'u', 'password': ***}"),
        ("Authorization: Basic dTpwdw==", "Authorization: ***"),
        ("x\nProxy-Authorization: Digest u=me, r=abc\ny", "x\nProxy-Authorization: ***\ny"),
        ("Authorization: token ghp_0123456789abcdef01", "Authorization: ***"),
        ("{'Authorization': 'Bearer abc.def', 'x': 1}", "{'Authorization': ***, 'x': 1}"),
        ("Private-Token: glpat-x1", "Private-Token: ***"),
        ("X-Api-Key: abc def", "X-Api-Key: ***"),
        ("Cookie: session=abc; b=c", "Cookie: ***"),
        ("bearer eyJhbGciOi.eyJz.sig", "bearer ***"),
        ("token: abc\npassword: d,e", "token: ***\npassword: ***,e"),
        ("login --password abc --token=def ok", "login --password *** --token=*** ok"),
        ("it was glpat-0123456789abcdefgh, no", "it was ***, no"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert hide(text) == shown
    assert hide(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000",
        "http://host:80/a@b",
        "sqlite:////srv/a@b.db",
        "s3://bucket/a@b",
        "git@host:owner/name.git",
        "set RAY_AUTH_MODE=token and the cluster's RAY_AUTH_TOKEN",
        "seed=3 gain=6 -S enhance.gain=3",
        '{"key": "a", "score": 0.123456, "keyboard": "b"}',
        "secrets.yaml: token: has an unknown key",
        "check address and RAY_AUTH_TOKEN, or unset RAY_ADDRESS: no token",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide(text) == text


@pytest.mark.parametrize(
    "name",
    ["MLFLOW_TRACKING_PASSWORD", "PGPASSWORD", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_API_KEY", "MYSQL_PWD"],
)
def test_values_of_variables_that_say_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "hunter+22")
    assert hide("it was hunter+22, or hunter%2B22, in it") == "it was ***, or ***, in it"
    assert hide("hunter+223 is a word") == "hunter+223 is a word"
    monkeypatch.setenv(name, "a-long-one-of-32-letters-0123456")
    assert hide("xa-long-one-of-32-letters-0123456x") == "x***x"


def test_values_that_could_be_anything_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "A_TOKEN": "false",
        "B_PASSWORD": "1234567",
        "PWD": "/working/folder",
        "TOKENIZERS_X": "enabled",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("C_KEY", sys.executable)
    text = f"false 0.1234567 /working/folder enabled {sys.executable}"
    assert hide(text) == text


def test_parts_of_an_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As drivers print them that split it elsewhere."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://someone:geheim%21@2ndhalf@host:5432/db")
    for part in ("geheim%21@2ndhalf", "geheim!@2ndhalf", "2ndhalf@host"):
        assert hide(f'could not translate "{part}" ({part})') == 'could not translate "***" (***)'
    assert hide("someone at host:5432") == "someone at host:5432"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ghp_abcdef:x-oauth-basic@host")
    assert hide("x-oauth-basic of ghp_abcdef") == "x-oauth-basic of ***"


def test_settings_that_were_read() -> None:
    remember({"password": "of-this-test-alone", "user": "anybody-at-all"})
    assert hide("anybody-at-all of-this-test-alone") == "anybody-at-all ***"


LETTERS = st.text(st.characters(codec="ascii", exclude_characters=" \t\n\r\f\v\x1c\x1d\x1e\x1f/@:"), min_size=1)


@settings(deadline=None)
@given(user=LETTERS, password=LETTERS, more=LETTERS)
def test_every_login_is_hidden_and_found(user: str, password: str, more: str) -> None:
    address = f"https://{user}:{password}@{more}@host.example:5000/x"
    assert without_login(address) == "https://host.example:5000/x"
    assert hide(f"see {address} there") == "see https://***@host.example:5000/x there"
    assert login(without_login(address)) is None


def test_a_login_is_used_as_it_is_meant() -> None:
    assert login("https://user:p@ss%2Fx@host") == ("user", "p@ss/x")
    assert login("https://token@host") == ("token", "")
    assert login("postgresql://me:p/w@host/db") == ("me", "p/w")


def test_structures() -> None:
    value = {"a": ["https://u:p@h", 1, None], "b": {"c": "https://t@h"}}
    assert hide_within(value) == {"a": ["https://***@h", 1, None], "b": {"c": "https://***@h"}}


def test_all_that_a_process_prints(capsys: pytest.CaptureFixture[str]) -> None:
    with hidden_output():
        sys.stdout.write("https://u:pw1@h\n")
        sys.stderr.writelines(["https://u:pw2@h\n"])
        assert not sys.stderr.isatty()
        sys.excepthook(urllib.error.URLError, urllib.error.URLError("https://u:pw3@h"), None)
    captured = capsys.readouterr()
    assert captured.out == "https://***@h\n"
    assert captured.err.splitlines()[0] == "https://***@h"
    assert "pw" not in captured.err


def test_errors_hold_no_secret_even_if_they_are_cut() -> None:
    error = InputError(
        "https://u:pw1@h", "fails", found=290 * "x" + " https://u:pw2" + 300 * "y" + "@h", wanted="?token=pw3"
    )
    assert "pw" not in str(error)
