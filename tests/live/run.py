"""``make test-live``: boot a real Label Studio and run the tests of the backend against it.

python tests/live/run.py VENV [--all] [arguments of pytest]

Without arguments: a share of a few minutes, what only a real server can show and the contract of backends. With
``--all``: every test of the backend.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from real_server import RealServer  # noqa: E402


def main() -> int:
    venv, arguments = Path(sys.argv[1]).absolute(), sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="label-studio-", ignore_cleanup_errors=True) as folder:
        server = RealServer(venv, Path(folder))
        print(f"starting Label Studio on {server.url} …", flush=True)
        server.start()
        try:
            environment = {
                **os.environ,
                "PAIRLOOP_LABEL_STUDIO": server.url,
                "PAIRLOOP_LABEL_STUDIO_FOLDER": folder,
                "PAIRLOOP_LABEL_STUDIO_VENV": str(venv),
                "LABEL_STUDIO_API_KEY": server.token,
            }
            unit = HERE.parent / "unit" / "plugins_label_studio"
            tests = arguments or [str(HERE), str(unit / "test_contract.py")]
            if arguments[:1] == ["--all"]:
                tests = [str(HERE), str(unit), "-m", "not slow", *arguments[1:]]
            return subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *tests], env=environment, check=False
            ).returncode
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
