"""Real clients, and clients generated from the OpenAPI document, against a running hub.

    make test-clients

Starts a hub in development mode in a folder of its own, installs what requirements.txt and
package-lock.json pin, and runs each client as a program, which says its steps as TAP. A client that
cannot run here, breaks off or leaves out a step that is asked of it has failed. Everything lies in
`.clients/`, which may be removed. `--only NAME` runs one of them.

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
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / ".clients"
DOCUMENT = ROOT / "openapi" / "coordhub.json"
PYTHON = WORK / "venv" / "bin" / "python"
START_SECONDS = 120
CLIENT_SECONDS = 1800
FUZZ = "10"  # random cases for each operation

INTERACTIONS = (
    "create", "search", "page", "include", "patch", "update with version", "delete", "transact",
)  # fmt: skip
BACKEND = (
    "discover and get a token", "create and read", "search within its scopes", "an assertion once",
)  # fmt: skip
APP = (
    "launch and be let in", "token and patient", "data of that chart only", "refresh", "a code once",
)  # fmt: skip
KEY_FLOW = (
    "a token by an RSA key", "a token by an EC key", "no more than its scopes", "the next token by itself",
    "a stranger's key",
)  # fmt: skip
BROWSER = (
    "launch and be let in", "token and patient", "who signed in", "data of that chart only", "refresh",
    "back without asking", "leave refused", "taken back",
)  # fmt: skip
REFERRAL = ("transact: the referral is sent", "Riverside's Task is completed, its result there")
PYTHON_PROGRAMS: dict[str, Sequence[str]] = {
    "fhirpy_judge": INTERACTIONS,
    "fhirclient_judge": INTERACTIONS,
    "backend_judge": BACKEND,
    "key_flow_judge": KEY_FLOW,
    "app_judge": APP,
    "generated_python": REFERRAL,
    "schemathesis_judge": (),
}
NODE_PROGRAMS: dict[str, Sequence[str]] = {
    "fhir_kit_client_judge": INTERACTIONS,
    "fhirclient_judge_js": INTERACTIONS,
    "medplum_judge": INTERACTIONS,
    "browser_judge": BROWSER,
    "generated_typescript": REFERRAL,
}
"""The programs, and the steps that each must say."""
PROGRAMS = {**NODE_PROGRAMS, **PYTHON_PROGRAMS}


class Missing(Exception):
    """It cannot run here; the text says what is missing."""


@dataclass
class Verdict:
    """What one judge said. failed: steps that failed or never came, and why it did not end."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = f"{len(self.passed):3} passed, {len(self.failed)} failed"
        return told + "".join(f"\n{'':24}  {one}" for one in self.failed)


def main() -> int:
    """Let each judge play; 1 if any of them has failed."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--only", choices=PROGRAMS, action="append")
    only: list[str] = asked.parse_args().only or list(PROGRAMS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the hub is stopped too
    WORK.mkdir(exist_ok=True)
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy2(file, WORK / file.name)
    said: dict[str, Verdict] = {}
    with hub() as credentials:
        for name in only:
            begun = time.monotonic()
            print(f"{name}:", flush=True)
            try:
                prepare(name)
                match name:
                    case "backend_judge":
                        credentials["assertion"] = backend(credentials)
                    case "key_flow_judge":
                        key_flow(credentials)
                    case "app_judge":
                        app(credentials, "judge-app", "http://127.0.0.1:9/back", "patient/*.cruds")
                    case "browser_judge":
                        credentials["chromium"] = chromium()
                        back, scope = f"{credentials['app']}/", "fhirUser patient/*.rs"
                        app(credentials, "judge-browser", back, scope)
                said[name] = judged(command(name), environment(credentials), PROGRAMS[name])
            except Missing as missing:
                said[name] = Verdict(failed=[str(missing)])
            except subprocess.SubprocessError as error:
                said[name] = Verdict(failed=[f"{type(error).__name__}: {error}"])
            print(f"  {time.monotonic() - begun:.0f} s")
    print("\n" + "\n".join(f"{name:24}{verdict}" for name, verdict in said.items()))
    return 1 if any(verdict.failed for verdict in said.values()) else 0


def judged(words: Sequence[str], environment: dict[str, str], asked: Sequence[str]) -> Verdict:
    """Run one judge to its end, or to its deadline, and count what it says."""
    verdict = Verdict()
    with subprocess.Popen(
        words, cwd=WORK, env=environment, text=True, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        deadline = Timer(CLIENT_SECONDS, os.killpg, (started.pid, signal.SIGKILL))
        deadline.start()
        try:
            for line in started.stdout:
                print(f"  {line}", end="", flush=True)
                told, _, step = line.rstrip().partition(" - ")
                if told in ("ok", "not ok"):
                    (verdict.passed if told == "ok" else verdict.failed).append(step)
        except BaseException:
            os.killpg(started.pid, signal.SIGKILL)
            raise
        finally:
            deadline.cancel()
    if started.returncode:
        verdict.failed.append(f"broke off, exit code {started.returncode}")
    never = set(asked) - {*verdict.passed, *verdict.failed}
    verdict.failed += [f"never came to: {step}" for step in asked if step in never]
    if not verdict.passed and not verdict.failed:
        verdict.failed.append("said nothing")
    return verdict


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
        raise Missing("this Python makes no virtual environment (python3-venv)")
    pins = str(WORK / "requirements.txt")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--requirement", pins])


def install_node() -> None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Missing("npm is missing: install Node.js 20 or later")
    said = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    if int(said.removeprefix("v").partition(".")[0]) < 20:
        raise Missing(f"Node.js is {said.strip()}: install 20 or later")
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


def backend(credentials: dict[str, Any]) -> str:
    """Register the client `judge` with a key of its own; an assertion that it has signed."""
    key = ECKey.generate_key("P-384", {"kid": "judge"})
    keys = WORK / "judge.jwks.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    organization = f"Organization/{credentials['organizations']['riverside']['id']}"
    coordhub(
        credentials, "clients", "add", "judge", "--organization", organization, "--jwks", str(keys)
    )
    origin = credentials["base"].removesuffix("/fhir")
    claims = {"iss": "judge", "sub": "judge", "aud": f"{origin}/auth/token", "jti": os.urandom(16).hex(),
              "exp": int(time.time()) + 240}  # fmt: skip
    header = {"alg": "ES384", "kid": "judge", "typ": "JWT"}
    return jwt.encode(header, claims, key, algorithms=["ES384"])


def key_flow(credentials: dict[str, Any]) -> None:
    """Register the client `judge-keys` with two keys, and keep these where it finds them."""
    made = (RSAKey.generate_key(2048), "RS384"), (ECKey.generate_key("P-384"), "ES384")
    common = [{"kid": f"judge-{each}", "alg": each} for _, each in made]
    public = [
        key.as_dict(private=False) | said for (key, _), said in zip(made, common, strict=True)
    ]
    private = [
        key.as_dict(private=True) | said | {"key_ops": ["sign"]}
        for (key, _), said in zip(made, common, strict=True)
    ]
    (WORK / "judge-keys.json").write_text(json.dumps({"keys": private}))
    keys = WORK / "judge-keys.jwks.json"
    keys.write_text(json.dumps({"keys": public}))
    organization = f"Organization/{credentials['organizations']['riverside']['id']}"
    coordhub(
        credentials, "clients", "add", "judge-keys", "--organization", organization,
        "--jwks", str(keys), "--scope", "system/Patient.rs system/Task.rs",
    )  # fmt: skip


def app(credentials: dict[str, Any], name: str, back: str, scope: str) -> None:
    """Register an app, a public one."""
    organization = f"Organization/{credentials['organizations']['riverside']['id']}"
    coordhub(
        credentials, "clients", "add", name, "--organization", organization, "--public",
        "--redirect-uri", back, "--title", "Judge",
        "--scope", f"openid offline_access launch/patient {scope}",
    )  # fmt: skip


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    raise Missing("Chromium is missing: install it")


def coordhub(credentials: dict[str, Any], *words: str) -> None:
    subprocess.run(
        [sys.executable, "-c", "from coordhub.cli import main; main()", *words],
        env={**os.environ, "COORDHUB_HOME": credentials["home"]}, check=True, timeout=START_SECONDS,
    )  # fmt: skip


def command(name: str) -> list[str]:
    match name:
        case "generated_typescript":
            return ["node", "build/generated_typescript.js"]
        case "fhirclient_judge_js":
            return ["node", "fhirclient_judge.mjs"]
        case _ if name in NODE_PROGRAMS:
            return ["node", f"{name}.mjs"]
        case _:
            return [str(PYTHON), f"{name}.py"]


def person(credentials: dict[str, Any], email: str) -> tuple[str, str, str]:
    """One of the sample people: address, password, secret of the second factor."""
    known = credentials["people"][email]
    return email, known["password"], known["secret"]


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
        "COORDHUB_PERSON": json.dumps(person(credentials, "chris@riverside.example.org")),
        "COORDHUB_STAFF": json.dumps(person(credentials, "pat@mounds.example.org")),
        "COORDHUB_STAFF_TOKEN": members["mounds"]["token"],
        "COORDHUB_APP": credentials["app"],
        "COORDHUB_CHROMIUM": credentials.get("chromium", ""),
        "COORDHUB_KEYS": str(WORK / "judge-keys.json"),
        "COORDHUB_ASSERTION": credentials.get("assertion", ""),
        "COORDHUB_DOCUMENT": str(DOCUMENT),
        "COORDHUB_FUZZ": os.environ.get("COORDHUB_FUZZ", FUZZ),
    }


@contextmanager
def hub() -> Iterator[dict[str, Any]]:
    """A hub in development mode with nothing in it but the sample community; its dev.json."""
    with tempfile.TemporaryDirectory(prefix="coordhub-clients-") as home:
        Path(home).chmod(0o711)  # the account that Postgres gets from root must pass through
        app = f"http://127.0.0.1:{free_port()}"
        settings = {
            "COORDHUB_HOME": home,
            "COORDHUB_PORT": str(free_port()),
            "COORDHUB_CORS_ORIGINS": app,
            "COORDHUB_FAILURES_PER_MINUTE": "1000000",  # wrong tokens are part of the play
        }
        kept = {name: v for name, v in os.environ.items() if "DATABASE_URL" not in name}
        with (WORK / "hub.log").open("w") as log:
            started = subprocess.Popen(
                [sys.executable, "-c", "from coordhub.cli import main; main()", "dev"],
                env={**kept, **settings}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            found = wait_for(Path(home) / "dev.json", started)
            (WORK / "dev.json").write_text(json.dumps(found))
            yield {**found, "home": home, "app": app}
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
