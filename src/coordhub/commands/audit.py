"""Commands about the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coordhub.commands.wiring import need, read_settings, run, stop, token_key

if TYPE_CHECKING:
    from coordhub.settings import Settings
    from coordhub.store.seals import Checked

audit = typer.Typer(help="The audit and its seals.", no_args_is_help=True)


@audit.command("verify")
def audit_verify(
    expect: Annotated[
        list[str] | None,
        typer.Option(help="A seal that was written down, NUMBER:MAC as the log has it."),
    ] = None,
) -> None:
    """Walk the seals of the audit; say which rows or seals were altered, removed or inserted.

    Exit code 1 if any was. Needs DATABASE_URL and COORDHUB_TOKEN_KEY, reads only.
    """
    settings = read_settings()
    url = need(settings, key=True)
    try:
        expected = {
            int(one.partition(":")[0]): bytes.fromhex(one.partition(":")[2]) for one in expect or []
        }
    except ValueError:
        stop(
            "coordhub audit verify: write --expect as NUMBER:MAC, as in the log line audit.sealed."
        )
    checked = run(_verify_audit(settings, url, expected))
    for fault in checked.faults:
        print(fault)
    since = f", since {checked.open_since:%Y-%m-%d %H:%M:%S%z}" if checked.open_since else ""
    if checked.retained:
        print(f"Retention removed the rows under {checked.retained} seals.")
    print(
        f"{checked.rows} rows under {checked.last.number} seals checked, {len(checked.faults)} faults; "
        f"{checked.open} rows not sealed yet{since}. "
        f"Newest seal: {checked.last.number}:{checked.last.mac.hex() if checked.last.number else ''}"
    )
    raise typer.Exit(1 if checked.faults else 0)


async def _verify_audit(settings: Settings, url: str, expected: dict[int, bytes]) -> Checked:
    from coordhub.store import seals
    from coordhub.store.engine import Engine

    former = (one.get_secret_value().encode() for one in settings.former_token_keys)
    keys = [seals.sealing_key(one) for one in (token_key(settings) or b"", *former)]
    engine = await Engine.open(url, size=2, statement_timeout_ms=0)
    try:
        async with engine.pool.acquire() as conn:
            named = {seals.name_of(key): key for key in keys}
            return await seals.verify(conn, named, expected, now=engine.now())
    finally:
        await engine.close()
