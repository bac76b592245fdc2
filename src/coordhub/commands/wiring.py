"""What commands stand on: the settings, the database, the operator, and how one says that it cannot go on.

Imports stand inside the functions, so that `--help` and a wrong option answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from coordhub.admin.acts import Operator
    from coordhub.record.hub import Hub
    from coordhub.settings import Settings
    from coordhub.store.engine import Engine

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
By = Annotated[str, typer.Option(help="Who you are; it stands in the audit.")]
Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the development mode to use; COORDHUB_HOME by default."),
]


def read_settings(home: Path | None = None) -> Settings:
    from pydantic import ValidationError

    from coordhub.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        stop("coordhub: a setting cannot be used. " + "; ".join(faults))
    return settings if home is None else settings.model_copy(update={"home": home})


def need(settings: Settings, *, key: bool) -> str:
    """The database's own address, where it and, if asked for, the token key are set; never a pooler's."""
    url = address(settings)
    missing = ["DATABASE_URL"] if url is None else []
    if key and settings.token_key is None:
        missing.append("COORDHUB_TOKEN_KEY")
    if missing:
        stop(f"Set {' and '.join(missing)}. To try the hub without either: coordhub dev")
    return url or ""


def address(settings: Settings) -> str | None:
    """Of the database itself: what commands do may take a session."""
    return secret(settings.direct_database_url) or secret(settings.database_url)


def secret(value: Any) -> str | None:
    return None if value is None else str(value.get_secret_value())


def token_key(settings: Settings) -> bytes | None:
    text = secret(settings.token_key)
    return None if text is None else text.encode()


def run(step: Coroutine[Any, Any, Any]) -> Any:
    """Run it; that Postgres cannot be used is said in a sentence."""
    import uvloop

    from coordhub.store import outage
    from coordhub.store.pooling import NotInForceError

    try:
        return uvloop.run(step)
    except NotInForceError as error:
        stop(f"coordhub: {error}")
    except Exception as error:
        if outage.is_outage(error) or type(error).__module__.startswith("asyncpg."):
            name = type(error).__name__
            stop(f"coordhub: the database cannot be used ({name}). Check DATABASE_URL.")
        raise


def use_weights() -> None:
    """Match by the operator's numbers, where the settings name some."""
    from coordhub.identity import weights

    settings = read_settings()
    if settings.identity_weights is not None:
        weights.use(weights.read(settings.identity_weights.read_bytes()))


def trace(settings: Settings) -> None:
    """Begin to trace, where it is asked for."""
    from coordhub import tracing

    if settings.traces is not None:
        try:
            tracing.configure(settings.traces, settings.traces_sampled)
        except tracing.CannotTraceError as error:
            stop(f"coordhub: {error}")


def stop(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)


def operator() -> Operator:
    import getpass

    from coordhub.admin.acts import UNNAMED, Operator

    try:
        return Operator(getpass.getuser())
    except (KeyError, OSError):
        return UNNAMED


def act(
    command: str, step: Callable[[Engine], Coroutine[Any, Any, None]], home: Path | None = None
) -> None:
    """Do it on the database of DATABASE_URL, or else on the development mode's, if its home is named.

    That there was nothing to do it to is said.
    """
    from coordhub.admin.acts import NothingDone
    from coordhub.sandbox import issuing

    settings = read_settings(home)
    url = address(settings) if home is not None else need(settings, key=False)

    async def done() -> None:
        async with issuing.engine_of(settings.home, url) as engine:
            await step(engine)

    try:
        run(done())
    except (NothingDone, issuing.CannotIssue) as nothing:
        stop(f"coordhub {command}: {nothing}")


def on_a_hub(command: str, step: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
    """Run it on a hub of its own, as the login of DATABASE_URL: the owner, where the record is rewritten."""
    from coordhub.admin.acts import NothingDone
    from coordhub.insight import same_question
    from coordhub.record.bootstrap import open_hub
    from coordhub.store import vault
    from coordhub.store.engine import Engine

    given = read_settings()
    url = need(given, key=False)
    if given.vsp_keys is not None:
        vault.use(vault.Vault(given.vsp_keys))
    if given.same_question is not None:
        same_question.use(same_question.read(given.same_question.read_bytes()))

    async def done() -> Any:
        engine = await Engine.open(
            url, size=3, statement_timeout_ms=0, consent_policy=given.consent_policy
        )
        try:
            return await step(await open_hub(engine, given.base))
        finally:
            await engine.close()

    try:
        return run(done())
    except NothingDone as nothing:
        stop(f"coordhub {command}: {nothing}")


async def opened(engine: Engine, home: Path | None = None) -> Hub:
    """The hub as a command acts in it."""
    import dataclasses

    from coordhub.app import safeguards_of
    from coordhub.record.bootstrap import open_hub

    settings = read_settings(home)
    hub = await open_hub(engine, settings.base)
    return dataclasses.replace(hub, safeguards=safeguards_of(settings))
