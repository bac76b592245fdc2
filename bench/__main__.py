"""The command line of the bench.

python -m bench                          work items and floors, two minutes
python -m bench --rounds 7 --seconds 5   the same, steadier
python -m bench --peer http://host/fhir  and another FHIR server on the same work
python -m bench referrals                how many a second arrive in time, and what each part of it costs
python -m bench noisy                    what one client at ten times its share costs the others
python -m bench fanout                   changes to acknowledged deliveries, to one partner and to fifty
python -m bench cds --stored 1000000     calls of CDS Hooks: time, cost, and whether the time tells what is hidden
python -m bench ladder --rungs 1000,4000,16000
python -m bench matching --persons 200000   records of one person found in a made population
python -m bench portal --tasks 1000000 --users 500   pages of the portal's desks
python -m bench match --persons 200000   calls of Patient/$match and the linking of a record, what they cost
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import uvloop

from bench import report


def main(arguments: list[str]) -> int:
    # A bench that is told to end stops what it started, as at Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    asked = _parser().parse_args(arguments)
    if asked.what == "ladder":
        from bench import ladder

        rungs = [int(rung) for rung in asked.rungs.split(",")]
        told = uvloop.run(ladder.run(ladder.Plan(rungs, asked.times, asked.budget)))
    elif asked.what == "matching":
        from bench import matching

        told = matching.run(
            matching.Plan(
                asked.seed,
                asked.persons,
                asked.learn,
                asked.weights,
                asked.looked,
                asked.learn_persons,
            )
        )
    elif asked.what == "match":
        from bench import match

        told = uvloop.run(match.run(match.Plan(asked.persons)))
    elif asked.what == "portal":
        from bench import portal

        told = uvloop.run(portal.run(portal.Plan(asked.tasks, asked.users, asked.seconds)))
    elif asked.what == "cds":
        from bench import cds

        told = uvloop.run(
            cds.run(cds.Plan(asked.stored, asked.calls, min(max(asked.seconds, 10.0), 120.0)))
        )
    elif asked.what == "referrals":
        from bench import referrals

        told = uvloop.run(
            referrals.run(referrals.Plan(asked.rate, max(asked.seconds, 5.0), asked.alone))
        )
    elif asked.what == "noisy":
        from bench import noisy

        told = uvloop.run(noisy.run(max(asked.seconds, 8.0)))
    elif asked.what == "fanout":
        from bench import fanout

        told = uvloop.run(fanout.run(fanout.Plan(changes=asked.changes, rounds=asked.rounds)))
    else:
        from bench import measure
        from bench.wire import Server

        peers = [Server(base.rstrip("/"), asked.peer_token) for base in asked.peer]
        plan = measure.Plan(
            asked.items, asked.clients, asked.rounds, asked.seconds, asked.observations, peers
        )
        told = uvloop.run(measure.run(plan))
    if asked.json is not None:
        report.write(asked.json, told)
        print(f"All of it is in {asked.json}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument(
        "what",
        nargs="?",
        choices=(
            "items",
            "referrals",
            "fanout",
            "noisy",
            "ladder",
            "matching",
            "match",
            "cds",
            "portal",
        ),
        default="items",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    group = parser.add_argument_group("matching, match")
    group.add_argument("--persons", type=int, default=20_000, help="so many at least")
    group.add_argument("--seed", type=int, default=1, help="of the population")
    group.add_argument("--learn", type=int, help="learn weights from the population of this seed")
    group.add_argument("--learn-persons", type=int, help="so many in it; else as many")
    group.add_argument("--weights", type=Path, help="file to write what was learned to, or to take")
    group.add_argument("--looked", type=int, help="so many persons are compared with all; else all")
    group = parser.add_argument_group("items")
    group.add_argument("--items", default="abcdefg", help="letters of the work items")
    group.add_argument("--clients", type=int, default=8, help="clients at once")
    group.add_argument("--rounds", type=int, default=3, help="laps of each item")
    group.add_argument("--seconds", type=float, default=2.0, help="seconds of one lap")
    group.add_argument("--observations", type=int, default=20_000, help="what is stored before")
    group.add_argument("--peer", action="append", default=[], help="base of another FHIR server")
    group.add_argument("--peer-token", help="bearer token for it")
    group = parser.add_argument_group("referrals")
    group.add_argument("--rate", type=float, default=4.0, help="referrals a second, offered first")
    group.add_argument("--alone", type=int, default=100, help="referrals for each part alone")
    group = parser.add_argument_group("fanout")
    group.add_argument("--changes", type=int, default=100, help="referrals of one lap")
    group = parser.add_argument_group("cds")
    group.add_argument("--stored", type=int, default=100_000, help="observations")
    group.add_argument("--calls", type=float, default=50.0, help="a second, offered")
    group = parser.add_argument_group("portal")
    group.add_argument("--tasks", type=int, default=100_000, help="so many, give or take a few")
    group.add_argument("--users", type=int, default=500, help="people, five of an organization")
    group = parser.add_argument_group("ladder")
    group.add_argument("--rungs", default="1000,4000", help="patients at each rung")
    group.add_argument("--times", type=int, default=15, help="requests of each shape and caller")
    group.add_argument("--budget", type=float, default=2.0, help="seconds for them at most")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
