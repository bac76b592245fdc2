"""Real clients, and clients generated from the OpenAPI document, against a running hub.

    make test-clients

Starts a hub in development mode in a folder of its own, installs what requirements.txt and
package-lock.json pin, and runs each client as a program. What cannot run here is skipped, with its
reason. Everything lies in `.clients/`, which may be removed. `--only NAME` runs one of them.

https://hl7.org/fhir/R4/http.html, https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / ".clients"
DOCUMENT = ROOT / "openapi" / "coordhub.json"
PYTHON = WORK / "venv" / "bin" / "python"
START_SECONDS = 120
CLIENT_SECONDS = 900

PYTHON_PROGRAMS = ("fhirpy_judge", "fhirclient_judge", "generated_python", "schemathesis")
NODE_PROGRAMS = (
    "fhir_kit_client_judge", "fhirclient_judge_js", "medplum_judge", "generated_typescript",
)  # fmt: skip


class Skipped(Exception):
    """It cannot run here; the text says why."""


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--only", choices=(*PYTHON_PROGRAMS, *NODE_PROGRAMS), action="append")
    only = asked.parse_args().only or (*PYTHON_PROGRAMS, *NODE_PROGRAMS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the hub is stopped too
    WORK.mkdir(exist_ok=True)
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy2(file, WORK / file.name)
    said: dict[str, str] = {}
    with hub() as credentials:
        for name in only:
            print(f"{name}:", flush=True)
            try:
                prepare(name)
                run(command(name, credentials), environment(credentials))
                said[name] = "passed"
            except Skipped as skipped:
                said[name] = f"skipped: {skipped}"
            except subprocess.SubprocessError as error:
                print(f"  {type(error).__name__}: {error}")
                said[name] = "FAILED"
    print("\n" + "\n".join(f"{name:24}{state}" for name, state in said.items()))
    return 1 if "FAILED" in said.values() else 0


def prepare(name: str) -> None:
    """Install and generate what the program needs, once for the same pins and document."""
    if name in PYTHON_PROGRAMS:
        once("python", install_python, HERE / "requirements.txt")
    else:
        once("node", install_node, HERE / "package-lock.json")
    if name == "generated_python":
        once("hubclient", generate_python, DOCUMENT, HERE / "generated_python.py")
    elif name == "generated_typescript":
        once("typescript", generate_typescript, DOCUMENT, HERE / "generated_typescript.ts")


def once(name: str, make: Any, *sources: Path) -> None:
    """Make it unless it has been made from these sources."""
    stamp = WORK / f"{name}.stamp"
    now = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if not stamp.exists() or stamp.read_text() != now:
        make()
        stamp.write_text(now)


def install_python() -> None:
    shutil.rmtree(WORK / "venv", ignore_errors=True)
    tried = (
        ["uv", "venv", "--quiet", "--seed", "--python", sys.executable],
        [sys.executable, "-m", "venv"],
        [sys.executable, "-m", "virtualenv", "--quiet"],
    )
    for words in tried:
        if (
            shutil.which(words[0])
            and not subprocess.run(
                [*words, str(WORK / "venv")], check=False, capture_output=True
            ).returncode
        ):
            break
    else:
        raise Skipped("this Python makes no virtual environment (python3-venv)")
    pins = str(WORK / "requirements.txt")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--requirement", pins])


def install_node() -> None:
    if shutil.which("npm") is None:
        raise Skipped("npm is missing (Node.js 20 or later)")
    run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])


def generate_python() -> None:
    """The package `hubclient`; then what uses it must agree with its types."""
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"  # its formatter is looked for there
    made = WORK / "hubclient"
    shutil.rmtree(made, ignore_errors=True)
    maker = [str(PYTHON.with_name("openapi-python-client")), "generate", "--meta", "none"]
    run(
        [*maker, "--path", str(DOCUMENT), "--output-path", str(made), "--fail-on-warning"],
        {**os.environ, "PATH": path},
    )
    run([str(PYTHON), "-m", "mypy", "--follow-imports=silent", "generated_python.py"])


def generate_typescript() -> None:
    """The types; then all of it must compile."""
    bin_ = WORK / "node_modules" / ".bin"
    run([str(bin_ / "openapi-typescript"), str(DOCUMENT), "--output", "hubclient.ts"])
    run([str(bin_ / "tsc"), "--project", "tsconfig.json", "--outDir", "build"])


def command(name: str, credentials: dict[str, Any]) -> list[str]:
    match name:
        case "schemathesis":
            return schemathesis(credentials)
        case "generated_typescript":
            return ["node", "build/generated_typescript.js"]
        case "fhirclient_judge_js":
            return ["node", "fhirclient_judge.mjs"]
        case _ if name in NODE_PROGRAMS:
            return ["node", f"{name}.mjs"]
        case _:
            return [str(PYTHON), f"{name}.py"]


def schemathesis(credentials: dict[str, Any]) -> list[str]:
    """No fault of the hub, no status, media type or shape that the document does not name."""
    checks = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_schema_conformance", "response_headers_conformance",
    )  # fmt: skip
    return [
        str(PYTHON.with_name("schemathesis")), "run", str(DOCUMENT),
        "--url", credentials["base"].removesuffix("/fhir"),
        "--header", f"Authorization: Bearer {credentials['organizations']['riverside']['token']}",
        "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing",
        "--max-examples", os.environ.get("COORDHUB_SCHEMATHESIS_EXAMPLES", "5"),
        "--max-time", os.environ.get("COORDHUB_SCHEMATHESIS_SECONDS", "300"),
        "--generation-deterministic", "--no-shrink", "--no-color", "--warnings", "off",
        "--include-path-regex", r"^/(health|ready|fhir(/metadata|/Task.*|/Patient.*|/\{.*)?)$",
    ]  # fmt: skip


def run(words: Sequence[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(words, check=True, cwd=WORK, env=environment, timeout=CLIENT_SECONDS)


def environment(credentials: dict[str, Any]) -> dict[str, str]:
    members = credentials["organizations"]
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "COORDHUB_DEV": str(WORK / "dev.json"),
        "COORDHUB_BASE": credentials["base"],
        "COORDHUB_TOKEN": members["riverside"]["token"],
        "COORDHUB_RIVERSIDE": members["riverside"]["token"],
        "COORDHUB_LAKESIDE": members["lakeside"]["token"],
        "COORDHUB_REQUESTER": members["riverside"]["id"],
    }


@contextmanager
def hub() -> Iterator[dict[str, Any]]:
    """A hub in development mode with nothing in it but the sample community; its dev.json."""
    with tempfile.TemporaryDirectory(prefix="coordhub-clients-") as home:
        Path(home).chmod(0o711)  # the account that Postgres gets from root must pass through
        settings = {"COORDHUB_HOME": home, "COORDHUB_PORT": str(free_port())}
        kept = {name: v for name, v in os.environ.items() if "DATABASE_URL" not in name}
        with (WORK / "hub.log").open("w") as log:
            started = subprocess.Popen(
                [sys.executable, "-c", "from coordhub.cli import main; main()", "dev"],
                env={**kept, **settings}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            found = wait_for(Path(home) / "dev.json", started)
            (WORK / "dev.json").write_text(json.dumps(found))
            yield found
        finally:
            started.send_signal(signal.SIGINT)
            started.wait(60)
            (WORK / "dev.json").unlink(missing_ok=True)


def wait_for(file: Path, started: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and started.poll() is None:
        if file.exists() and file.stat().st_size:
            found: dict[str, Any] = json.loads(file.read_text())
            return found
        time.sleep(0.2)
    raise SystemExit(f"The hub does not start; {WORK / 'hub.log'} says why.")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
