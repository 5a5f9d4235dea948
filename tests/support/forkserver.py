"""A process that has imported everything and forks a child for each campaign run: a case costs no start-up.

Run as a script it answers one JSON request a line::

    {"folder": …, "scenario": "plain", "kill": ["publish.after_send", 2], "mutant": null, "steps": null}
    → {"outcome": "killed by signal 9"} | {"outcome": "finished", …} | {"outcome": "error", "error": …}

It stays single-threaded, so that forking it is safe. ``kill`` is a failpoint with a hit, or ``["tick", n]`` for the
n-th SQL statement or audited operation (opening, renaming, deleting a file …) whatever it is. ``config`` is the text of
a configuration instead of a scenario's, ``environment`` more variables of the child.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]

_AUDITED = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "fcntl.flock"})
_RETRIES = 60
_WARM = (
    "sklearn.decomposition",
    "sklearn.feature_extraction.text",
    "pairloop.campaign",
    "pairloop.kit.near_duplicates",
    "pairloop_plugins.simulated.backend",
    "pairloop_reward.model",
)


class ForkServer:
    """The client's side."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        environment.pop("PAIRLOOP_FAILPOINT", None)
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, folder: Path, scenario: str, **request: Any) -> Answer:
        """Run a campaign in a child and say what became of it."""
        line = json.dumps({"folder": str(folder), "scenario": scenario, **request})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server died"
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def main() -> None:
    """Serve until standard input ends."""
    _warm_up()
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line))), flush=True)


def _warm_up() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for module in _WARM:
        importlib.import_module(module)
    from pairloop import manifest
    from pairloop.kit.versions import installed_versions
    from support import mutants, scenarios

    assert mutants.MUTANTS
    scenarios.registry()
    installed_versions(manifest._PACKAGES)


def _serve(request: Request) -> Answer:
    assert threading.active_count() == 1, "forking a process with threads is not safe"
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        code = 1
        try:
            answer = _run(request)
            os.write(write_end, json.dumps(answer).encode())
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"outcome": f"killed by signal {os.WTERMSIG(status)}"}
    if os.WEXITSTATUS(status) == 130:
        return {"outcome": "interrupted"}
    return dict(json.loads(text)) if text else {"outcome": "died"}


def _run(request: Request) -> Answer:
    from pairloop.campaign import Campaign
    from pairloop.errors import BackendUnavailable
    from pairloop.steps import publish
    from support import mutants, scenarios

    publish.CHUNK = scenarios.CHUNK
    os.environ.update(request.get("environment") or {})
    if request.get("mutant"):
        mutants.MUTANTS[request["mutant"]].apply()
    watch = _Watch(request)
    try:
        with Campaign(
            request["folder"],
            registry=scenarios.registry(),
            config_text=request.get("config") or scenarios.SCENARIOS[request["scenario"]],
        ) as campaign:
            for _ in range(_RETRIES):
                try:
                    if request.get("steps"):
                        outcome = [campaign.step() for _ in range(request["steps"])][-1]
                    else:
                        outcome = campaign.run()
                    break
                except BackendUnavailable:
                    continue  # as a cron job would, an hour later
            else:
                return {"outcome": "error", "error": "the backend stays unavailable"}
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
        return {"outcome": "error", "error": f"{type(error).__name__}: {error}"}
    return {
        "outcome": "finished" if type(outcome).__name__ == "Finished" else "stopped",
        "last": repr(outcome),
        "reached": watch.reached,
        "ticks": watch.ticks,
    }


class _Watch:
    """Counts what happens in this process, and sends it a signal at the wanted point."""

    def __init__(self, request: Request) -> None:
        from pairloop.kit import failpoints

        self.reached: dict[str, int] = {}
        self.ticks = 0
        self._kill = tuple(request.get("kill") or ())
        self._signal = getattr(signal, request.get("signal") or "SIGKILL")
        failpoints.set_handler(self._at_failpoint)
        if self._kill[:1] == ("tick",) or request.get("count_ticks"):
            self._count_ticks()

    def _at_failpoint(self, name: str) -> None:
        self.reached[name] = self.reached.get(name, 0) + 1
        if (name, self.reached[name]) == self._kill:
            os.kill(os.getpid(), self._signal)

    def _tick(self) -> None:
        self.ticks += 1
        if ("tick", self.ticks) == self._kill:
            os.kill(os.getpid(), self._signal)

    def _count_ticks(self) -> None:
        from pairloop.store import database

        made = database.Database.__init__

        def traced(own: Any, *args: Any, **options: Any) -> None:
            made(own, *args, **options)
            own.raw.conn.set_trace_callback(lambda _sql: self._tick())

        database.Database.__init__ = traced  # type: ignore[method-assign]
        sys.addaudithook(lambda event, _args: self._tick() if event in _AUDITED else None)


if __name__ == "__main__":
    main()
