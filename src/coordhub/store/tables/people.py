"""People of organizations who come with a browser: accounts, tries to sign in, sessions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from coordhub.store.tables.columns import instant, metadata

person = Table(
    "person",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("organization", BigInteger, nullable=False, comment="rid of whom it works for"),
    Column("email", Text, nullable=False, comment="in small letters; it signs in by it"),
    Column("name", Text, nullable=False),
    Column(
        "roles",
        ARRAY(Text),
        nullable=False,
        comment="what it does there: a role decides which desks of the portal are shown",
    ),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, comment="scrypt of the password"),
    instant(
        "password_until",
        nullable=True,
        comment="a first password is good until then; null: it is the person's own",
    ),
    Column(
        "factor",
        LargeBinary,
        comment="of which the key of the hub makes the secret of the second factor; null: none yet",
    ),
    Column(
        "step",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="time step of the last code that was used: no code is good twice",
    ),
    instant("created_at"),
    Column(
        "practitioner",
        BigInteger,
        comment="rid of its Practitioner or PractitionerRole; null: none is known",
    ),
    UniqueConstraint("email"),
    CheckConstraint(
        "roles = array['patient'] or (cardinality(roles) > 0 and roles <@ array['program-staff',"
        " 'coordinator', 'clinician', 'privacy-officer', 'integration-engineer', 'admin'])",
        name="roles_known",
    ),
    comment="Who works for an organization with a browser",
)
Index("person_organization_idx", person.c.organization)

sign_in = Table(
    "sign_in",
    metadata,
    Column(
        "name",
        LargeBinary,
        primary_key=True,
        comment="SHA-256 of the e-mail address, whether anybody has it or not",
    ),
    Column("failures", Integer, nullable=False, comment="since counted_from"),
    instant("counted_from"),
    comment="How often somebody tried to sign in as somebody, and did not",
)
Index("sign_in_counted_from_idx", sign_in.c.counted_from)

person_session = Table(
    "person_session",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("person", Text(collation="C"), nullable=False, comment="person.id"),
    Column(
        "factor",
        LargeBinary,
        comment="person.factor that is being set up; null: who is there has named a code",
    ),
    instant("seen_at", comment="of the last request, give or take a minute"),
    instant("until", comment="it ends then, however much it is used"),
    CheckConstraint("length(hash) = 32", name="hash_whole"),
    comment="Who has signed in",
)
Index("person_session_person_idx", person_session.c.person)
Index("person_session_until_idx", person_session.c.until)

person_identity = Table(
    "person_identity",
    metadata,
    Column("issuer", Text(collation="C"), nullable=False, comment="of the provider"),
    Column("subject", Text(collation="C"), nullable=False, comment="what the provider calls it"),
    Column("person", Text(collation="C"), nullable=False, comment="person.id"),
    instant("bound_at"),
    PrimaryKeyConstraint("issuer", "subject"),
    UniqueConstraint("person", "issuer"),
    comment="Who signs in at another provider, as whom",
)

sign_in_trip = Table(
    "sign_in_trip",
    metadata,
    Column("state", LargeBinary, primary_key=True, comment="SHA-256 of what comes back with it"),
    Column("browser", LargeBinary, nullable=False, comment="SHA-256 of what the browser holds"),
    Column("nonce", Text, nullable=False, comment="that the identity token repeats"),
    Column("verifier", Text, nullable=False, comment="of PKCE"),
    Column("onward", Text, nullable=False, comment="page that is shown when it is back"),
    instant("until"),
    comment="Who is away to sign in at another provider; each comes back once",
)
Index("sign_in_trip_until_idx", sign_in_trip.c.until)

person_passkey = Table(
    "person_passkey",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="of the credential, as WebAuthn calls it"),
    Column("person", Text(collation="C"), nullable=False, comment="person.id"),
    Column("public_key", LargeBinary, nullable=False, comment="as COSE writes keys"),
    Column(
        "uses",
        BigInteger,
        nullable=False,
        comment="as its authenticator counts them; one that does not says 0",
    ),
    Column("name", Text, nullable=False, comment="by which the person knows it again"),
    instant("made_at"),
    instant("used_at", nullable=True, comment="last; null: not yet"),
    CheckConstraint("length(id) between 1 and 1023", name="id_as_long_as_may_be"),
    comment="By what people sign in without a password",
)
Index("person_passkey_person_idx", person_passkey.c.person)

passkey_challenge = Table(
    "passkey_challenge",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("challenge", LargeBinary, nullable=False),
    instant("until"),
    CheckConstraint("length(hash) = 32", name="hash_whole"),
    comment="What browsers were asked to answer by a passkey; each does once",
)
Index("passkey_challenge_until_idx", passkey_challenge.c.until)
