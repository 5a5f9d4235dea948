"""The judge ``openai`` against a server that misbehaves in every way."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.endpoint import Endpoint, Reply, chat, serving

from pairloop.errors import BackendRejected, BackendUnavailable, ConfigError
from pairloop.protocols import Judge, JudgeContext, JudgeQuestion
from pairloop.records import Choice
from pairloop.testing.judges import JudgeContract
from pairloop_plugins.judge.endpoint import EndpointJudge
from pairloop_plugins.judge.options import OpenAIOptions
from pairloop_plugins.judge.transport import LARGEST_BODY, Transport

KEY = "sk-test-0123456789abcdefghijklmnop"
QUESTION = JudgeQuestion("Name a colour.", "Blue.", "I would rather not say.")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as made:
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def make(endpoint: Endpoint, waits: list[float], tmp_path: Path) -> Iterator[Callable[..., EndpointJudge]]:
    """A judge that asks the fake server, and notes instead of waiting."""
    made: list[EndpointJudge] = []

    def judge(**options: Any) -> EndpointJudge:
        o = OpenAIOptions(**{"model": "m", "base_url": endpoint.url, "tries": 4, "timeout": 5.0, **options})
        transport = Transport(
            f"{o.base_url}/chat/completions", KEY, timeout=o.timeout, tries=o.tries, longest_wait=o.longest_wait,
            sleep=waits.append,
        )  # fmt: skip
        found = EndpointJudge(o, JudgeContext(tmp_path), transport)
        found._key = KEY
        made.append(found)
        return found

    yield judge
    for each in made:
        each.close()


class TestContract(JudgeContract):
    @pytest.fixture
    def judge_factory(self, make: Callable[..., EndpointJudge], endpoint: Endpoint) -> Callable[[], Judge]:
        def answer(request: dict[str, Any]) -> Reply:
            user = request["messages"][-1]["content"]
            return chat("A", top={"A": -0.1, "B": -2.5}) if len(user) % 2 else chat("tie", usage=(len(user) // 5, 2))

        endpoint.default = answer
        return lambda: make(price_in=2.0, price_out=8.0)


def test_a_question_as_it_is_sent(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    make(seed=3).ask([QUESTION])
    (request,) = endpoint.requests
    assert (request["model"], request["temperature"], request["seed"], request["n"]) == ("m", 0.0, 3, 1)
    assert request["logprobs"] is True
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    user = request["messages"][1]["content"]
    assert user.index("Name a colour.") < user.index("Blue.") < user.index("I would rather not say.")
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A", Choice.LEFT), (" b. ", Choice.RIGHT), ("**Tie**", Choice.TIE), ("Answer: B", Choice.RIGHT),
        ("Response A", Choice.LEFT), ("", Choice.SKIP), ("A or B", Choice.SKIP), ("Both are bad", Choice.SKIP),
        ("A is better", Choice.SKIP), ("Let me think.\nA", Choice.SKIP), ("C", Choice.SKIP), ("AB", Choice.SKIP),
    ],
)  # fmt: skip
def test_only_an_answer_is_an_answer(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, text: str, choice: Choice
) -> None:
    endpoint.script = [chat(text, usage=(1_000_000, 0))]
    (answer,) = make(price_in=2.0).ask([QUESTION])
    assert answer.choice is choice
    assert answer.cost == 2.0, "an abstention is paid, too"
    assert (answer.reason is not None) == (choice is Choice.SKIP)


def test_reasons_first(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    endpoint.script = [chat("A names one.\n\nVerdict: A\n"), chat("A\nbut I am not sure")]
    judge = make(last_line=True)
    assert [judge.ask([QUESTION])[0].choice for _ in range(2)] == [Choice.LEFT, Choice.SKIP]
    assert "logprobs" not in endpoint.requests[0], "the first token is no answer then"


def test_probabilities(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    endpoint.script = [
        chat("A", top={"A": -0.5108, " B": -1.2040, "tie": -2.3026}),  # 0.6, 0.3, 0.1
        chat("A", top={"A": -3.0, "The": -0.1}),  # hardly any of it is about answers
        chat("B", top={"A": -0.2, "B": -2.0}),  # says one thing and means the other
        chat("A"),
    ]
    judge = make()
    found = [judge.ask([QUESTION])[0].p_left for _ in range(4)]
    assert found[0] == pytest.approx(0.65, abs=1e-3)
    assert found[1:] == [None, None, None]


def test_an_endpoint_without_logprobs_is_asked_without(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    endpoint.script = [Reply({"error": {"message": "logprobs is not supported"}}, 400)]
    judge = make()
    assert [judge.ask([QUESTION])[0].choice for _ in range(2)] == [Choice.LEFT] * 2
    assert ["logprobs" in request for request in endpoint.requests] == [True, False, False]


def test_omitted_and_added_fields(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    make(omit=("seed", "max_tokens"), extra_body={"max_completion_tokens": 9}).ask([QUESTION])
    assert not {"seed", "max_tokens"} & set(endpoint.requests[0])
    assert endpoint.requests[0]["max_completion_tokens"] == 9


# --------------------------------------------------------------------------------------------- patience


def test_busy_and_broken_servers_are_asked_again(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, waits: list[float]
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    endpoint.script = [
        Reply({}, 429, {"Retry-After": "7"}), Reply({}, 429, {"Retry-After": later}), Reply(b"<html>", 503),
    ]  # fmt: skip
    assert make().ask([QUESTION])[0].choice is Choice.LEFT
    assert waits[0] == 7.0
    assert 25 < waits[1] <= 30
    assert 0 < waits[2] <= 0.5 * 4 * 1.5


@pytest.mark.parametrize(("header", "longest"), [("86400", 120.0), ("-5", 0.0), ("nan", 1.0), ("soon", 1.0)])
def test_no_server_makes_us_wait_for_ever(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, waits: list[float], header: str, longest: float
) -> None:
    endpoint.script = [Reply({}, 429, {"Retry-After": header})]
    make().ask([QUESTION])
    assert 0 <= waits[0] <= longest


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>Bad gateway</html>", 200, {}, "text/html"),
        Reply(b"[1, 2]"), Reply(b""), Reply(b"\xff\xfe\x00"), Reply(b"[" * 100_000),
        Reply(b" " * (LARGEST_BODY + 100_000)), Reply({"error": "overloaded"}, 500),
    ],
    ids=["html", "list", "empty", "bytes", "nested", "huge", "500"],
)  # fmt: skip
def test_garbage_is_no_answer(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, waits: list[float], reply: Reply
) -> None:
    endpoint.script = [reply] * 4
    with pytest.raises(BackendUnavailable, match="4 tries"):
        make().ask([QUESTION])
    assert len(waits) == 3
    endpoint.script = [reply]
    assert make().ask([QUESTION])[0].choice is Choice.LEFT, "one bad answer is nothing"


def test_a_wrong_content_type_does_not_matter(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    endpoint.script = [Reply(chat("B").body, content_type="text/plain")]
    assert make().ask([QUESTION])[0].choice is Choice.RIGHT


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"text": "A"}]},
    ],
)
def test_a_reply_without_text_is_an_abstention(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, body: dict[str, Any]
) -> None:
    endpoint.script = [Reply(body)]
    (answer,) = make(price_in=1.0).ask([QUESTION])
    assert answer.choice is Choice.SKIP
    assert answer.cost == make(price_in=1.0).price(QUESTION), "without usage the most that it can have cost"


@pytest.mark.parametrize(
    "usage", [None, "many", {"prompt_tokens": -5, "completion_tokens": 1}, {"prompt_tokens": None}]
)
def test_missing_usage_costs_the_most(make: Callable[..., EndpointJudge], endpoint: Endpoint, usage: Any) -> None:
    judge = make(price_in=3.0, price_out=5.0)
    endpoint.script = [Reply({**chat("A").body, "usage": usage})]
    assert judge.ask([QUESTION])[0].cost == judge.price(QUESTION) > 0


def test_a_server_that_hangs(endpoint: Endpoint, tmp_path: Path) -> None:
    import threading

    release = threading.Event()

    def hang(_request: dict[str, Any]) -> Reply:
        release.wait(20)
        return chat("A")

    endpoint.default = hang
    o = OpenAIOptions(model="m", base_url=endpoint.url, timeout=0.2, tries=2)
    transport = Transport(f"{endpoint.url}/chat/completions", KEY, timeout=0.2, tries=2, longest_wait=0.0)
    with pytest.raises(BackendUnavailable, match="Timeout"):
        EndpointJudge(o, JudgeContext(tmp_path), transport).ask([QUESTION])
    release.set()
    transport.close()


def test_nobody_is_there(tmp_path: Path) -> None:
    o = OpenAIOptions(model="m", base_url="http://127.0.0.1:9/v1", tries=1, api_key_env="")
    judge = EndpointJudge(o, JudgeContext(tmp_path))
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9"):
        judge.ask([QUESTION])
    judge.close()


# ------------------------------------------------------------------------------------------- final errors


@pytest.mark.parametrize("status", [401, 403, 404, 307])
def test_what_will_never_work_ends_at_once(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, waits: list[float], status: int
) -> None:
    endpoint.script = [Reply({"error": {"message": f"no: {KEY}"}}, status, {"Location": "http://127.0.0.1:9/"})]
    with pytest.raises(BackendRejected) as caught:
        make().ask([QUESTION])
    assert KEY not in str(caught.value)
    assert waits == []
    assert len(endpoint.requests) == 1, "redirects are not followed: they would carry the key"


def test_a_refused_question_is_an_abstention(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    endpoint.script = [Reply({"error": {"message": "content filter"}}, 400)]
    (answer,) = make(price_in=1.0).ask([QUESTION])
    assert answer.choice is Choice.SKIP
    assert "content filter" in (answer.reason or "")
    assert answer.cost == 0.0


# ------------------------------------------------------------------------------------------------- keys


def test_the_key_is_nowhere(
    make: Callable[..., EndpointJudge], endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in errors, reasons, the identity, logs or representations, even where the server repeats it."""
    caplog.set_level(logging.DEBUG)
    judge = make(tries=1)
    said: list[str] = [judge.identity, repr(judge), repr(judge._transport)]
    endpoint.script = [chat(f"your key is {KEY}"), Reply({"error": f"bad {KEY[:20]}***"}, 400), Reply({"e": KEY}, 500)]
    said += [str(judge.ask([QUESTION])[0].reason) for _ in range(2)]
    with pytest.raises(BackendUnavailable) as caught:
        judge.ask([QUESTION])
    said += [str(caught.value), repr(caught.value.__cause__), caplog.text]
    for text in said:
        assert KEY[:20] not in text
        assert KEY[-20:] not in text
    assert "[key]" in said[3]


def test_a_missing_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    judge = EndpointJudge(OpenAIOptions(model="m", api_key_env="MY_KEY"), JudgeContext(tmp_path))
    with pytest.raises(ConfigError, match="MY_KEY"):
        judge.ask([QUESTION])
    monkeypatch.setenv("MY_KEY", "two words\n")
    with pytest.raises(ConfigError, match="blanks"):
        EndpointJudge(OpenAIOptions(model="m", api_key_env="MY_KEY"), JudgeContext(tmp_path)).ask([QUESTION])


def test_a_key_from_the_keyring(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import SimpleNamespace

    ring = SimpleNamespace(get_password=lambda service, user: {("pairloop", "judge"): KEY}.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", ring)  # type: ignore[arg-type]
    o = OpenAIOptions(model="m", base_url=endpoint.url, api_key_keyring="pairloop/judge")
    judge = EndpointJudge(o, JudgeContext(tmp_path))
    judge.ask([QUESTION])
    judge.close()
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "url", ["http://judge.example/v1", "https://me:secret@judge.example/v1", "ftp://x/", "https://x/?key=1", "judge"]
)
def test_addresses_that_leak_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        OpenAIOptions(model="m", base_url=url)


# -------------------------------------------------------------------------------------------- identity


def test_what_decides_an_answer_decides_the_identity(make: Callable[..., EndpointJudge], tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("[[prompt]] [[left]] [[right]] [[fence]]", encoding="utf-8")
    ways: list[dict[str, Any]] = [
        {}, {"model": "n"}, {"template": "own.txt"}, {"temperature": 1.0}, {"seed": 1}, {"logprobs": False},
        {"last_line": True}, {"max_tokens": 9}, {"extra_body": {"top_p": 0.5}}, {"omit": ("seed",)},
    ]  # fmt: skip
    assert len({make(**way).identity for way in ways}) == len(ways)
    same: list[dict[str, Any]] = [
        {"tries": 2},
        {"timeout": 1.0},
        {"concurrency": 2},
        {"price_in": 1.0},
        {"api_key_env": "X"},
    ]
    assert {make(**way).identity for way in same} == {make().identity}


def test_check(make: Callable[..., EndpointJudge], endpoint: Endpoint) -> None:
    assert "m at" in make().check()
    endpoint.script = [chat("I cannot say.")]
    with pytest.raises(BackendRejected, match="no usable answer"):
        make().check()
    assert KEY not in json.dumps(endpoint.requests)
