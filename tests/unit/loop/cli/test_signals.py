"""Real processes: interruption, and two at once."""

import signal
import time

import pytest

from pairloop.cli.interrupt import Interrupted, Stop, stopping
from pairloop.store import Store

LIMIT = 60


def wait_for_line(process, text: str) -> None:
    """Read stdout until a line holds ``text``."""
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"the process ended without {text!r}: {process.stderr.read()}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_waiting_for_people_ends_at_once_with_its_code(number, code, people, spawn) -> None:
    process = spawn("run", people, "--wait", "3600", PYTHONUNBUFFERED="1")
    wait_for_line(process, "waiting for annotators")
    _, errors = _signal_until_it_ends(process, number)
    assert process.returncode == code
    assert "What was committed is kept" in errors
    with Store.open(people) as store:  # the lock is free again, and the store in order
        assert store.check() == []
        assert store.rounds.latest().state == "collecting"


def test_ctrl_c_during_a_run_stops_and_the_same_command_goes_on(campaign, spawn, invoke) -> None:
    process = spawn("run", campaign, PYTHONUNBUFFERED="1")
    wait_for_line(process, "round 1 → publishing")
    _signal_until_it_ends(process, signal.SIGINT)
    assert process.returncode in (130, 0)  # 0: this machine was quicker than the signal
    again = invoke("run", campaign)
    assert again.exit_code == 0, again.output
    with Store.open_readonly(campaign) as store:
        assert store.check() == []
        assert [one.state.value for one in store.rounds.all()] == ["closed", "closed"]


def test_the_second_of_two_processes_ends_with_75_and_names_the_first(people, spawn, invoke) -> None:
    first = spawn("run", people, "--wait", "3600", PYTHONUNBUFFERED="1")
    wait_for_line(first, "waiting for annotators")
    second = spawn("run", people)
    _, errors = second.communicate(timeout=LIMIT)
    assert second.returncode == 75
    assert f"in use by process {first.pid}" in errors
    assert f"process {first.pid}" in invoke("doctor", people).output
    assert invoke("status", people).exit_code == 0
    _signal_until_it_ends(first, signal.SIGINT)


def _signal_until_it_ends(process, number):
    process.send_signal(number)
    return process.communicate(timeout=LIMIT)


def test_the_first_signal_asks_and_the_second_insists() -> None:
    with stopping() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(signal.SIGINT)
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_requested_stop_happens_where_progress_is_reported() -> None:
    from pairloop.cli.progress import Bar

    with stopping() as stop:
        bar = Bar(stop, visible=False)
        bar.start("work", 3)
        bar.advance()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            bar.advance()


def test_a_stop_that_was_asked_for_before_does_not_wait() -> None:
    stop = Stop()
    stop.signal = signal.SIGINT
    begin = time.monotonic()
    with pytest.raises(Interrupted):
        stop.sleep(60)
    assert time.monotonic() - begin < 10


def test_a_signal_during_the_wait_ends_it(monkeypatch) -> None:
    from pairloop.cli import interrupt

    monkeypatch.setattr(interrupt.time, "sleep", lambda _seconds: signal.raise_signal(signal.SIGTERM))
    with stopping() as stop:
        with pytest.raises(Interrupted) as caught:
            stop.sleep(3600)
        assert caught.value.exit_code == 143
        signal.raise_signal(signal.SIGINT)  # the wait is over: this one asks again
        assert stop.signal == signal.SIGINT
