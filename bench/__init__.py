"""The bench: what the hub costs, beside what Postgres alone costs, in one run on one machine.

`python -m bench` measures work items: the hub's request and, in turns with it, the *floor*: the
least SQL that keeps the same promise (durable, with history, with an index row) on the same server.
What is reported is the ratio; requests a second are true of one machine and one hour only. Two
processes of the hub as in production (`coordhub serve`, `coordhub work`), one Postgres with fsync,
and everything on: token, validation, visibility, audit. The caller is an ordinary organization.

`python -m bench ladder` loads thousands of patients and asks the same searches at each rung: what
matters there is that the answer does not take longer as the store grows.

- `machine`    what this machine can do, and the CPU time of processes
- `wire`       an HTTP client that costs little, `drive` closed and offered load
- `place`      Postgres, hub, worker and partners, started and stopped
- `documents`  what is written
- `items`      the work items, against any FHIR server; `floors` the same by asyncpg
- `loader`     patients by COPY, `shapes` the searches asked, `ladder` the rungs
- `cds`        calls of CDS Hooks beside a full store
- `report`     tables and JSON

The bench stands above the house: it may import whatever it measures, and nothing imports it.
"""
