"""A real Label Studio on this machine: its own data folder, its own port, started and killed by process id."""

import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

EMAIL, PASSWORD = "admin@example.com", "a-password-for-tests"
_PATIENCE = 240.0  # seconds: it takes about one minute on two cores, longer where they are busy


class RealServer:
    """The server whose data and process id are in a folder.

    Args:
        venv: a virtual environment with ``label-studio``. folder: empty at the first start.
    """

    def __init__(self, venv: Path, folder: Path) -> None:
        self._venv, self.folder = venv, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = int(self._kept("port", str(_free_port())))
        self.token = self._kept("token", secrets.token_hex(20))
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "data" / "label_studio.sqlite3"

    def start(self) -> None:
        """Start it and wait until it is healthy.

        Raises:
            RuntimeError: it is not, after four minutes.
        """
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        environment = {
            **os.environ, "LABEL_STUDIO_BASE_DATA_DIR": str(data), "DJANGO_DB": "sqlite", "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false", "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        }  # fmt: skip
        command = [
            str(self._venv / "bin" / "label-studio"), "start", "--no-browser", "--internal-host", "127.0.0.1",
            "--port", str(self.port), "--username", EMAIL, "--password", PASSWORD, "--user-token", self.token,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=data, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        (self.folder / "pid").write_text(str(process.pid), encoding="utf-8")
        started = time.monotonic()
        while time.monotonic() - started < _PATIENCE:
            if self.healthy():
                return
            if process.poll() is not None:
                break
            time.sleep(0.5)
        raise RuntimeError(f"Label Studio did not start, see {self.folder / 'log'}")

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """End it at once, with the processes that it started."""
        pid = int((self.folder / "pid").read_text(encoding="utf-8"))
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        while self.healthy():
            time.sleep(0.1)

    def _kept(self, name: str, value: str) -> str:
        file = self.folder / name
        if not file.exists():
            file.write_text(value, encoding="utf-8")
        return file.read_text(encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
