"""Every setting of the hub: its type, unit, default and meaning.

Read from the environment (prefix COORDHUB_, and DATABASE_URL as hosting services name it) by app
and cli; what lies below them is given values. The table in README is `table()`.

https://docs.pydantic.dev/latest/concepts/pydantic_settings/
"""

from __future__ import annotations

import ssl
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from coordhub import secret_files
from coordhub.access import statements
from coordhub.authorization.identity import Signer
from coordhub.authorization.provider import Signing
from coordhub.identity import weights as identity_weights
from coordhub.insight import kits, same_ingredient, same_question
from coordhub.outbound.relay import Relay, is_address
from coordhub.r4 import datasets
from coordhub.referral import deadlines, hours, same_kind, strategies, weights

Network: TypeAlias = IPv4Network | IPv6Network


def _bare_number_is_seconds(value: object) -> object:
    try:
        return timedelta(seconds=float(value)) if isinstance(value, str) else value
    except ValueError:
        return value  # ISO 8601 or hh:mm:ss, which pydantic reads


def _lasts(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


def _parts(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_bare_number_is_seconds),
    AfterValidator(_lasts),
    PlainSerializer(lambda value: f"{value.total_seconds():g}", return_type=str),
]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parts)]


Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parts)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]


def _of_datasets(path: Path | None) -> Path | None:
    if path is not None:
        try:
            datasets.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_weights(path: Path | None) -> Path | None:
    if path is not None:
        try:
            weights.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_identity(path: Path | None) -> Path | None:
    if path is not None:
        try:
            identity_weights.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_strategies(path: Path | None) -> Path | None:
    if path is not None:
        try:
            strategies.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_deadlines(path: Path | None) -> Path | None:
    if path is not None:
        try:
            deadlines.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_kinds(path: Path | None) -> Path | None:
    if path is not None:
        try:
            same_kind.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_questions(path: Path | None) -> Path | None:
    if path is not None:
        try:
            same_question.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_ingredients(path: Path | None) -> Path | None:
    if path is not None:
        try:
            same_ingredient.read(path.read_bytes())
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_kits(path: Path | None, info: ValidationInfo) -> Path | None:
    """By the questions of this operator."""
    if path is not None:
        own: Path | None = info.data.get("same_question")
        try:
            questions = same_question.read(own.read_bytes() if own is not None else None)
            kits.read(path.read_bytes(), questions)
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_authorities(path: Path | None) -> Path | None:
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # as is ssl.SSLError
            raise ValueError(f"the file cannot be read: {error.strerror or error}") from None
    return path


def _of_identity_keys(path: Path | None) -> Path | None:
    if path is not None:
        try:
            Signer(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_issuers(path: Path | None) -> Path | None:
    if path is not None:
        try:
            statements.issuers(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_sign_in_keys(path: Path | None) -> Path | None:
    if path is not None:
        try:
            Signing(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


def _of_providers(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query:
            raise ValueError("is no https address of an OpenID provider")
    return url


def _of_zones(name: str) -> str:
    if hours.zone(name) is None:
        raise ValueError("is no time zone of the IANA database, such as America/Chicago")
    return name


def _of_relays(url: str | None) -> str | None:
    if url is not None:
        Relay(url, "nobody@example.org")
    return url


def _of_addresses(text: str | None) -> str | None:
    if text is not None and not is_address(text):
        raise ValueError("is no e-mail address")
    return text


class Settings(BaseSettings):
    """One process's settings, checked when they are read; an unusable value stops the start."""

    model_config = SettingsConfigDict(
        env_prefix="COORDHUB_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    home: Path = Path(".coordhub")
    """Folder for what development mode keeps: the embedded Postgres and its log, keys, dev.json."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""

    base_url: str | None = None
    """FHIR base as partners see it (`https://hub.example.org/fhir`); from host and port without
    it."""

    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "COORDHUB_DATABASE_URL")
    )
    """`postgresql://` address of the Postgres (15 or later) to use; development mode starts its own
    without it."""

    direct_database_url: SecretStr | None = None
    """Address of Postgres itself where that of DATABASE_URL is a pooler's, such as PgBouncer; for LISTEN, migrations
    and commands (docs/scale.md)."""

    search_database_url: SecretStr | None = None
    """Address of the pooler by the login for searches; needed with COORDHUB_DIRECT_DATABASE_URL."""

    replica_database_url: SecretStr | None = None
    """Address of a streaming replica, not through a pooler: searches, histories and $everything go there once it
    knows what was committed before them (docs/scale.md)."""

    postgres_bin: Path | None = None
    """Folder of `postgres` and `initdb` for the embedded server; looked for without it."""

    token_key: SecretStr | None = Field(default=None, min_length=32)
    """Secret that signs bearer tokens, 32 characters at least; development mode makes one and keeps
    it in home."""

    access_token_lifetime: Duration = timedelta(minutes=5)
    """A token that a client gets from the authorization server is valid this long."""

    app_token_lifetime: Duration = timedelta(minutes=15)
    """A token that an app gets, for a person who signed in, is valid this long."""

    refresh_token_lifetime: Duration = timedelta(days=90)
    """An app that was allowed `offline_access` and asks for no token for this long has to have its person
    sign in again."""

    identity_keys: Annotated[Path | None, AfterValidator(_of_identity_keys)] = None
    """File with a JSON Web Key Set of private RSA keys, by the first of which the hub signs who signed in to an
    app (OpenID Connect); without it no app is told. Development mode makes one in home."""

    software_issuers: Annotated[Path | None, AfterValidator(_of_issuers)] = None
    """File with the issuers, and their public keys, by whose software statements partners register their clients
    themselves, in the sandbox (docs/onboarding.md); without it nobody does."""

    sign_in_issuer: Annotated[str | None, AfterValidator(_of_providers)] = None
    """OpenID provider at which people may sign in, by its issuer, exactly as it writes it (docs/operations.md)."""

    sign_in_client: str | None = None
    """Name that the provider knows the hub by (`client_id`)."""

    sign_in_secret: SecretStr | None = None
    """Secret that the provider has given the hub."""

    sign_in_keys: Annotated[Path | None, AfterValidator(_of_sign_in_keys)] = None
    """File with a JSON Web Key Set, by whose first, private key the hub proves who it is instead
    (`private_key_jwt`)."""

    sign_in_title: str = "your organization's account"
    """What people are told that the provider is called."""

    sign_in_by_email: bool = False
    """An account is bound at the first sign-in there by the address that the provider says it has verified; else an
    operator binds it (`coordhub people bind`)."""

    sign_in_passwords: bool = True
    """People may sign in by a password of the hub, too."""

    certificate_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """Header in which the proxy passes on the certificate that a client has shown to it (`Client-Cert`, or nginx's
    escaped PEM), taking off what clients send under this name; tokens are then bound to it (docs/security.md)."""

    former_token_keys: Secrets = ()
    """Secrets that COORDHUB_TOKEN_KEY was before, with commas between: tokens signed under them are still
    taken, and `coordhub audit verify` checks with them what was sealed under them."""

    audit_seal_every: Duration = timedelta(seconds=60)
    """The audit is sealed this often; a row is sealed when all that ran beside it has ended."""

    pool_size: PositiveInt = 10
    """Postgres connections of one process at most, a third of them for searches."""

    statement_timeout: Duration = timedelta(seconds=30)
    """After this Postgres ends a statement."""

    client_rate: PositiveFloat = 500
    """Requests a second that one client may make at most, where nothing else was agreed with it
    (`coordhub clients limits`); beyond is 429."""

    client_burst: PositiveInt = 1000
    """Requests that it may make at once, after a while without any."""

    client_at_once: PositiveInt = 100
    """Requests of one client that are under way at the same time at most."""

    client_per_day: PositiveInt | None = None
    """Requests of one client in a day (UTC) at most; any number without it."""

    serving_processes: PositiveInt = 1
    """How many `serve` processes share the requests: each lets a client have its part of what is agreed."""

    failures_per_minute: PositiveInt = 300
    """Wrong tokens, keys and codes from one address in a minute at most; beyond is 429 for what is not known
    to be right."""

    hsts: Annotated[int, Field(ge=0)] = 0
    """Seconds for which browsers are told to come by TLS only (Strict-Transport-Security), such as 31536000; 0:
    they are not told."""

    max_body_bytes: PositiveInt = 16 * 1024 * 1024
    """Bytes of a request body at most, as sent and as decompressed; beyond is 413."""

    max_nesting: PositiveInt = 64
    """Levels of objects and arrays in a body at most."""

    max_entries: PositiveInt = 5_000
    """Entries of one batch or transaction at most."""

    max_deleted: PositiveInt = 1
    """Resources that one conditional delete may delete; where more match, it is refused."""

    max_subscriptions: PositiveInt = 100
    """Subscriptions of one organization at most that are not off; beyond is 422."""

    consent_policy: Literal["opt-in", "opt-out", "by-purpose"] = "by-purpose"
    """What a referral may share of which no Consent of the patient speaks: nothing (`opt-in`), what
    it names (`opt-out`), or that with those who treat (`by-purpose`)."""

    datasets: Annotated[Path | None, AfterValidator(_of_datasets)] = None
    """File with data sets of your own, or narrower ones, for kinds of recipients (docs/labels.md)."""

    weights: Annotated[Path | None, AfterValidator(_of_weights)] = None
    """File with numbers of your own for who comes first among those who could help (docs/matching.md)."""

    identity_weights: Annotated[Path | None, AfterValidator(_of_identity)] = None
    """File with numbers of your own for whether two records are of one person (docs/identity.md)."""

    same_kind: Annotated[Path | None, AfterValidator(_of_kinds)] = None
    """File with codes of your own, such as your directory's taxonomy, that mean the same kind of service
    as others (docs/matching.md)."""

    same_question: Annotated[Path | None, AfterValidator(_of_questions)] = None
    """File with codes of your own that answer the same question as others, and for how many days an answer is
    new, over the shipped ones (docs/cds.md)."""

    same_ingredient: Annotated[Path | None, AfterValidator(_of_ingredients)] = None
    """File with codes of your own of medications that are of one ingredient, and of classes that an allergy may be
    to, over the shipped ones (docs/cds.md)."""

    kits: Annotated[Path | None, AfterValidator(_of_kits)] = None
    """File that says for your kinds of referrals what goes with them and what is to come back, over the shipped
    kits (docs/referrals.md)."""

    deadlines: Annotated[Path | None, AfterValidator(_of_deadlines)] = None
    """File with deadlines, business hours and holidays of your own over the shipped ones
    (docs/deadlines.md)."""

    time_zone: Annotated[str, AfterValidator(_of_zones)] = "UTC"
    """Time zone (IANA) of whom the directory names none: deadlines in business days and quiet hours go
    by it."""
    strategies: Annotated[Path | None, AfterValidator(_of_strategies)] = None
    """File that says for your kinds of needs by which strategy several recipients are asked, how many
    and how long (docs/referrals.md)."""

    coordinator: Annotated[str, Field(pattern=r"^Organization/[A-Za-z0-9.-]{1,64}$")] | None = None
    """Organization of the directory (`Organization/id`) that looks for a provider when nobody is left, and
    after what is overdue; without it whoever refers does (docs/referrals.md)."""

    vsp_keys: Path | None = None
    """Folder of the keys of victim service providers, one file each, outside of the database and of
    its backups; every process needs it. Without it nobody can be marked as one."""

    vsp_release_days: PositiveInt = 30
    """Days ahead that a victim service provider's written release may end at most."""

    read_after_days: PositiveInt = 90
    """Days for which may still be read through the hub: what a referral showed to whoever has completed it, a
    result by those to whom copies went and by a former doctor of the patient (docs/privacy.md)."""

    break_glass: Duration = timedelta(hours=1)
    """A record that is opened in an emergency (`$break-glass`) stays open this long."""

    break_glass_attempts: PositiveInt = 10
    """Tries of one organization in an hour to open a record in an emergency; beyond is 429."""

    confidential_age: Annotated[int, Field(ge=0, le=18)] = 12
    """From these years of age on what is sensitive of a minor is hidden from its parents."""

    cors_origins: Origins = ()
    """Origins whose pages may call the FHIR API from a browser (`https://app.example.org`), with
    commas between; `*` is any. None may without it."""

    worker_poll: Duration = timedelta(seconds=1)
    """A worker looks for work this often when nothing wakes it."""

    delivery_lease: Duration = timedelta(seconds=60)
    """A worker may take this long for one attempt before another takes the delivery over."""

    retry_base: Duration = timedelta(seconds=30)
    """Longest wait after the first failed attempt; doubles with each."""

    retry_cap: Duration = timedelta(hours=1)
    """Longest wait between two attempts."""

    retry_budget: Duration = timedelta(hours=72)
    """After this time without success a delivery is dead, until somebody replays it."""

    probe_after: Duration = timedelta(seconds=60)
    """An endpoint that failed five times in a row is tried again after this; doubles with each failure."""

    probe_cap: Duration = timedelta(minutes=5)
    """Longest wait before an endpoint that fails is tried again."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """`serve` and `work` answer Prometheus at this port of COORDHUB_HOST; each process needs its own."""

    traces: str | None = None
    """Address of a collector for traces (OTLP over HTTP, `http://127.0.0.1:4318/v1/traces`); none without it. Needs
    `pip install 'coordhub[traces]'`."""

    traces_sampled: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the requests that are traced."""

    outbound_networks: Networks = ()
    """Networks that deliveries may go to besides public addresses, as CIDR with commas between;
    development mode adds loopback."""

    outbound_authorities: Annotated[Path | None, AfterValidator(_of_authorities)] = None
    """File (PEM) of further authorities that the certificates of partners' servers may be of, such as your
    own on your premises."""

    smtp_url: Annotated[str | None, AfterValidator(_of_relays)] = None
    """Relay that mail is handed to: `smtps://host:465` (TLS), `smtp://host:587` (STARTTLS, required) or
    `smtp+plain://localhost:25` (this machine only). Nobody gets mail without it."""

    smtp_user: str | None = None
    """Name that the relay knows the hub by."""

    smtp_password: SecretStr | None = None
    """Its password."""

    smtp_authorities: Path | None = None
    """File (PEM) of further authorities that the relay's certificate may be of."""

    mail_from: Annotated[str | None, AfterValidator(_of_addresses)] = None
    """E-mail address that mail comes from; one whose name says nothing of whom it is about."""

    notice_every: Duration = timedelta(minutes=15)
    """An organization that has a mailbox only is written to this often at most, of all that waits for it."""

    link_lifetime: Duration = timedelta(hours=72)
    """A link in a mail opens nothing after this; and nothing twice."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity of the log lines written."""

    @model_validator(mode="before")
    @classmethod
    def _secrets_of_files(cls, given: Any) -> Any:
        """What stands in files, for what was not given."""
        if not isinstance(given, dict):
            return given
        variables = _secret_variables()
        read = dict(given)
        for name, (variable, path) in secret_files.named(variables).items():
            if not {name, *variables[name]} & {*given, *(key.upper() for key in given)}:
                read[name] = secret_files.text_of(variable, path)
        return read

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> Self:
        """What signing in elsewhere needs is there, or none of it."""
        if (self.sign_in_issuer is None) != (self.sign_in_client is None):
            raise ValueError("COORDHUB_SIGN_IN_ISSUER and COORDHUB_SIGN_IN_CLIENT need each other")
        if self.sign_in_issuer is None and not self.sign_in_passwords:
            raise ValueError("without COORDHUB_SIGN_IN_ISSUER people have nothing but passwords")
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        """What mail needs is there, or none of it."""
        if self.smtp_url is not None:
            self.relay()
        return self

    @model_validator(mode="after")
    def _pooler_is_whole(self) -> Self:
        there = [self.direct_database_url, self.search_database_url]
        if any(there) and not (all(there) and self.database_url):
            raise ValueError(
                "behind a pooler DATABASE_URL, COORDHUB_DIRECT_DATABASE_URL and COORDHUB_SEARCH_DATABASE_URL are"
                " needed, all three (docs/scale.md)"
            )
        return self

    def files(self) -> dict[str, Path]:
        """The files that hold secrets, by the variable that names each; a process looks whether they change."""
        found = dict(secret_files.named(_secret_variables()).values())
        if self.identity_keys is not None:
            found["COORDHUB_IDENTITY_KEYS"] = self.identity_keys
        if self.sign_in_keys is not None:
            found["COORDHUB_SIGN_IN_KEYS"] = self.sign_in_keys
        return found

    def read_again(self) -> Settings:
        """These, with secrets as their files have them now. Raises UnreadableError where they cannot be used."""
        named_by = ""
        try:
            fresh = type(self)()
            named_by = "COORDHUB_IDENTITY_KEYS"
            _of_identity_keys(self.identity_keys)
            named_by = "COORDHUB_SIGN_IN_KEYS"
            _of_sign_in_keys(self.sign_in_keys)
        except ValidationError as error:  # whose own text may quote
            told = [
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            ]
            raise secret_files.UnreadableError("; ".join(told)) from None
        except ValueError as error:
            raise secret_files.UnreadableError(f"{named_by}: {error}") from None
        named = secret_files.named(_secret_variables())
        return self.model_copy(update={name: getattr(fresh, name) for name in named})

    def relay(self) -> Relay | None:
        """Where mail is handed in; None where none is sent."""
        if self.smtp_url is None:
            return None
        if self.mail_from is None:
            raise ValueError("COORDHUB_MAIL_FROM is not set, the address that mail comes from")
        password = self.smtp_password.get_secret_value() if self.smtp_password else None
        return Relay(self.smtp_url, self.mail_from, self.smtp_user, password)

    @property
    def base(self) -> str:
        """FHIR base without a slash at its end."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/fhir"


def _secret_variables() -> dict[str, tuple[str, ...]]:
    """By setting that is a secret: the variables that may hold it."""
    return {
        name: _variables(name, field.validation_alias)
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }


def _variables(name: str, aliases: object) -> tuple[str, ...]:
    if isinstance(aliases, AliasChoices):
        return tuple(str(choice) for choice in aliases.choices)
    return (f"COORDHUB_{name.upper()}",)


def table() -> str:
    """README's table of settings, in Markdown."""
    rows = ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = _variables(name, field.validation_alias)[0]
        meaning = " ".join((field.description or "").split())
        kind = _kind(field.annotation)
        rows.append(f"| `{variable}` | {kind} | {_default(field.default)} | {meaning} |")
    return "\n".join(rows)


def _kind(annotation: object) -> str:
    text = str(annotation)
    for part, word in (
        ("timedelta", "seconds"),
        ("SecretStr", "secret"),
        ("Path", "path"),
        ("Network", "networks"),
        ("Literal", "word"),
        ("int", "number"),
    ):
        if part in text:
            return word
    return "text"


def _default(value: object) -> str:
    match value:
        case None | ():
            return ""
        case timedelta():
            return f"`{value.total_seconds():g}`"
        case _:
            return f"`{value}`"
