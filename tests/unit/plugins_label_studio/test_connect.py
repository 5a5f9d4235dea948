"""Connecting: tokens, trust, prefixes, errors in plain words, and a token that is seen nowhere."""

import base64
import json
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from support.fake_label_studio import FakeLabelStudio, serving
from support.fault_proxy import FATES, Fault, proxying
from support.studio import CANARY, Studio, question

from pairloop.errors import BackendError, BackendRejected, BackendUnavailable, ConfigError, PairloopError
from pairloop.protocols import Check
from pairloop_plugins.label_studio.connect import connect
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.tokens import Token
from pairloop_plugins.label_studio.transport import Refused, Transport


def jwt(**claims: Any) -> str:
    """A token as Label Studio makes them; only its shape matters here."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmF0dXJl"])


@pytest.fixture
def personal(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLabelStudio]:
    """A server that takes a personal access token."""
    token = jwt(exp=4_000_000_000, token_type="refresh")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    with serving(FakeLabelStudio(token)) as fake:
        yield fake


def checks(studio: Studio, tmp_path: Path, options: LabelStudioOptions) -> list[Check]:
    backend = studio.backend(tmp_path / "doctor", options, rehearsal=True)
    return list(backend.examine())


def levels(found: list[Check]) -> dict[str, str]:
    return {check.name.removeprefix("label studio: "): check.level for check in found}


# ------------------------------------------------------------------------------------------------- tokens


def test_a_personal_access_token_is_refreshed(personal: FakeLabelStudio) -> None:
    transport = connect(LabelStudioOptions(url=personal.url), None)
    assert transport.get("api/version").body["release"]
    assert transport.get("api/version").body["release"]
    assert personal.calls.count("POST /api/token/refresh/") == 1
    personal.access.clear()  # five minutes pass
    assert transport.get("api/current-user/whoami").body["id"] == 1
    assert personal.calls.count("POST /api/token/refresh/") == 2


def test_an_access_token_that_is_over_is_not_tried(personal: FakeLabelStudio) -> None:
    token = Token(personal.token)
    bought = iter([jwt(exp=1), jwt(exp=4_000_000_000)])
    assert token.header(lambda _: next(bought)) != token.header(lambda _: next(bought))
    assert token.header(lambda _: pytest.fail("it is good for a while")).startswith("Bearer ")


def test_a_revoked_token_stops_at_once(personal: FakeLabelStudio) -> None:
    transport = connect(LabelStudioOptions(url=personal.url), None)
    transport.get("api/version")
    secret, personal.token = personal.token, jwt(exp=1)
    personal.access.clear()
    with pytest.raises(BackendRejected, match="does not accept the personal access token") as error:
        transport.get("api/current-user/whoami")
    assert secret not in str(error.value)
    assert personal.calls.count("POST /api/token/refresh/") == 2, "no storm of tries"


def test_a_wrong_legacy_token(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "wrong-" + "0" * 34)
    with pytest.raises(BackendRejected, match="401") as error:
        connect(LabelStudioOptions(url=studio.url), None).get("api/current-user/whoami")
    assert "wrong-" not in str(error.value)


def test_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="the token of Label Studio is missing"):
        connect(LabelStudioOptions(), None)
    with pytest.raises(ConfigError, match="names no token"):
        connect(LabelStudioOptions(token_env=""), None)


def test_a_token_from_another_variable(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    monkeypatch.setenv("MY_TOKEN", f" {studio.token}\n")
    assert (
        connect(LabelStudioOptions(url=studio.url, token_env="MY_TOKEN"), None)
        .get("api/current-user/whoami")
        .body["id"]
    )


# ------------------------------------------------------------------------------------------------ address


@pytest.mark.parametrize("url", ["ftp://x", "x.example", "https://me:secret@x.example", "https://x.example/?a=b"])
def test_addresses_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(ValidationError):
        LabelStudioOptions(url=url)


@pytest.mark.parametrize("url", ["https://x.example/tool", "https://x.example/tool/"])
def test_a_path_prefix_is_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a token is refreshed."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", jwt(exp=4_000_000_000))
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"access": "a.b.c"})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    connect(LabelStudioOptions(url=url), None, client=client).get("api/version")
    assert asked == ["https://x.example/tool/api/token/refresh/", "https://x.example/tool/api/version"]


def test_plain_http_to_another_machine_is_warned_about(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    with caplog.at_level(logging.WARNING, "pairloop"):
        for url in ("http://localhost:8080", "http://127.0.0.1:1", "https://ls.example"):
            connect(LabelStudioOptions(url=url), None)
        assert not caplog.records
        connect(LabelStudioOptions(url="http://ls.example"), None)
    assert "unencrypted" in caplog.text
    assert CANARY not in caplog.text


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(302, headers={"Location": "https://evil.example/"})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with pytest.raises(BackendError, match=r"redirects|not JSON"):
        connect(LabelStudioOptions(url="https://ls.example", tries=1), None, client=client).get("api/version")
    assert set(seen) == {"ls.example"}


def test_an_own_certificate_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    loaded = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda _self, cafile: loaded.append(cafile))
    connect(LabelStudioOptions(url="https://ls.example", ca_file="ca.pem"), tmp_path)
    assert loaded == [str(tmp_path / "ca.pem")]
    monkeypatch.undo()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    with pytest.raises(ConfigError, match="holds no certificates"):
        connect(LabelStudioOptions(url="https://ls.example", ca_file="ca.pem"), tmp_path)


# ------------------------------------------------------------------------------------------------- errors


def test_reads_are_tried_again_and_writes_are_not(studio: Studio) -> None:
    with proxying(studio.url) as proxy:
        transport = connect(LabelStudioOptions(url=proxy.url, tries=3), None, sleep=lambda _: None)
        proxy.faults = [Fault("GET", "after-5xx", 1), Fault("GET", "reset", 2)]
        assert transport.get("api/version").body["release"]
        assert len(proxy.seen) == 3
        proxy.faults = [Fault("POST", "after-5xx", 1)]
        with pytest.raises(BackendUnavailable):
            transport.write("POST", "api/projects/", {"title": "only one", "label_config": "<View/>"})
        assert sum(call.startswith("POST") for call in proxy.seen) == 1


def test_it_waits_as_the_server_asks(studio: Studio) -> None:
    waited: list[float] = []
    answers = iter([
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": "86400"}),
        httpx.Response(200, json={"release": "1.23.2"}),
    ])  # fmt: skip
    client = httpx.Client(transport=httpx.MockTransport(lambda _: next(answers)))
    transport = connect(
        LabelStudioOptions(url="http://localhost", longest_wait=30), None, client=client, sleep=waited.append
    )
    assert transport.get("api/version").status == 200
    assert waited == [7.0, 30]


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1, NaN]", b"{" * 100_000, b'{"a": 1'])
def test_what_is_not_json_is_no_answer(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content)))
    with pytest.raises(BackendUnavailable, match="not JSON"):
        connect(LabelStudioOptions(tries=1), None, client=client).get("api/version")


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from pairloop_plugins.label_studio import transport as module

    monkeypatch.setattr(module, "LARGEST_BODY", 1000)
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"[" + b" " * 5000)))
    with pytest.raises(BackendUnavailable, match="more than"):
        Transport("http://localhost/", Token(CANARY), tries=1, client=client).get("api/version")


def test_the_token_is_in_no_message_and_no_file(
    studio: Studio, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong; also when the server echoes it."""
    said: list[str] = []
    with caplog.at_level(logging.DEBUG), proxying(studio.url) as proxy:
        options = studio.options(url=proxy.url, tries=1, timeout=0.5, late_commit=0)
        for fate in FATES:
            backend = studio.backend(tmp_path, options)
            proxy.faults = [Fault(".", fate, 0)]
            for call in (lambda: backend.publish([question(0)]), lambda: backend.poll(None)):  # noqa: B023
                try:
                    call()
                except PairloopError as error:
                    said += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
            said += [repr(backend.__dict__), repr(options)]
            backend.close()
        assert said
    client = httpx.Client(transport=httpx.MockTransport(
        lambda request: httpx.Response(400, json={"detail": f"bad header {request.headers['Authorization']}"})
    ))  # fmt: skip
    with pytest.raises(Refused) as refused:
        Transport("http://localhost/", Token(studio.token), client=client).get("api/version")
    said += [str(refused.value), caplog.text]
    said += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (studio.token, studio.token[:20], base64.b64encode(studio.token.encode()).decode()):
        assert not [text for text in said if secret in text]


# ------------------------------------------------------------------------------------------------- doctor


def test_the_doctor_finds_all_in_order(studio: Studio, tmp_path: Path) -> None:
    found = checks(studio, tmp_path, studio.options())
    assert levels(found) == {
        "server": "ok", "edition": "ok", "token": "ok", "sign-up": "warn", "project": "ok", "labeling config": "ok",
        "permissions": "ok", "predictions": "ok",
    }  # fmt: skip
    assert "1.23.2" in found[0].text


def test_the_doctor_writes_nothing(fake: Studio, tmp_path: Path) -> None:
    options = fake.options()
    assert fake.fake is not None
    before = len(fake.fake.calls)
    checks(fake, tmp_path, options)
    assert {call.split()[0] for call in fake.fake.calls[before:]} == {"GET"}


@pytest.mark.parametrize(
    ("release", "level"), [("1.17.0", "fail"), ("1.18.0", "warn"), ("1.22.9", "warn"), ("1.23.0", "ok"), ("?", "warn")]
)
def test_versions(fake: Studio, tmp_path: Path, release: str, level: str) -> None:
    assert fake.fake is not None
    fake.fake.release, before = release, fake.fake.release
    try:
        assert levels(checks(fake, tmp_path, fake.options()))["server"] == level
        if level == "fail":
            with pytest.raises(BackendRejected, match=r"older than 1\.18"):
                fake.backend(tmp_path / "old", fake.options()).poll(None)
        fake.backend(tmp_path / "relaxed", fake.options(allow_old=True)).poll(None)
        relaxed = levels(checks(fake, tmp_path, fake.options(allow_old=True)))["server"]
        assert relaxed == ("warn" if level == "fail" else level)
    finally:
        fake.fake.release = before


def test_what_the_doctor_says_about_a_project_of_others(studio: Studio, tmp_path: Path) -> None:
    options = studio.options(may_set=())
    config = "<View><Text name='t' value='$text'/><Choices name='c' toName='t'><Choice value='x'/></Choices></View>"
    studio.set(options.project, show_collab_predictions=True, maximum_annotations=3, label_config=config)
    found = checks(studio, tmp_path, options)
    assert levels(found)["labeling config"] == "fail"
    assert levels(found)["predictions"] == "warn"
    assert levels(found)["overlap"] == "warn"


def test_a_doctor_without_project_server_or_token(studio: Studio, tmp_path: Path) -> None:
    found = checks(studio, tmp_path, LabelStudioOptions(url=studio.url))
    assert levels(found)["project"] == "fail"
    found = checks(studio, tmp_path, LabelStudioOptions(url="http://127.0.0.1:9", tries=1))
    assert [check.level for check in found] == ["fail"]
    found = checks(studio, tmp_path, LabelStudioOptions(url=studio.url, project=999_999))
    assert found[-1].level == "fail"
    assert "is not there" in found[-1].text


def test_a_token_that_ends_soon_or_cannot_do_all(personal: FakeLabelStudio, tmp_path: Path) -> None:
    studio = Studio(personal.url, personal.token, personal)
    options = LabelStudioOptions(url=personal.url)
    personal.sign_up = False
    found = {check.name.removeprefix("label studio: "): check for check in checks(studio, tmp_path, options)}
    assert "personal access token" in found["token"].text
    assert found["token"].level == "ok"
    assert found["sign-up"].level == "ok"
