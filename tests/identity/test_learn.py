"""Weights learned from pairs of which nobody says who is who."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest

from coordhub.identity import learn, weights
from coordhub.identity.compare import FIELDS
from coordhub.identity.learn import Pattern, Sample, fit
from coordhub.identity.weights import Weights

START = weights.read()
TRUE = {"birth": 0.9, "family": 0.85, "given": 0.8, "sex": 0.99, "phone": 0.3, "address": 0.7}
"""How often each field is exact in the made pairs of one person; of the others none is said."""


def pair(chance: Random, exact: dict[str, float], **otherwise: str) -> Pattern:
    """exact: how often, by field; else it is missing. otherwise: the level, by field, where it is not exact."""
    return Pattern(
        tuple(
            "missing"
            if name not in exact
            else "exact"
            if chance.random() < exact[name]
            else otherwise.get(name, "other")
            for name in FIELDS
        )
    )


def made(same: int = 2000, others: int = 6000) -> Sample:
    """Of 4,000 records of 100,000; strangers have the birth in common and little else."""
    chance = Random(5)
    found = Sample(records=4000, all_of_them=100_000)
    stranger = {"family": 0.01, "given": 0.02, "sex": 0.5, "phone": 0.0001, "address": 0.0001}
    found.looked = Counter(pair(chance, TRUE, birth="digit") for _ in range(same))
    found.looked.update(pair(chance, {**stranger, "birth": 1.0}) for _ in range(others))
    found.random = Counter(pair(chance, {**stranger, "birth": 0.0}) for _ in range(20_000))
    return found


def test_given_pairs_of_unknown_persons_when_fitted_then_the_shares_they_were_made_with_come_out() -> (
    None
):
    found = fit(made(), START)
    for name, share in TRUE.items():
        assert found.weights.fields[name]["exact"].m == pytest.approx(share, abs=0.05), name
    assert found.weights.prior == pytest.approx(2000 / 4e8, rel=0.1)
    assert found.weights.fields["birth"]["exact"].u == pytest.approx(6000 / 4e8, rel=0.1)
    assert found.weights.fields["family"]["exact"].u == pytest.approx(0.01, rel=0.3)
    assert found.wrong <= learn.WRONG
    assert 0.5 < found.linked < 1


def test_given_what_was_fitted_when_written_then_it_is_read_as_an_operators_file() -> None:
    found = fit(made(500, 1000), START).weights
    assert weights.read(msgspec.json.encode(found)) == found
    assert START.probable <= found.certain < 1


def test_given_decisions_of_persons_when_fitted_then_they_count_whatever_the_sum_says() -> None:
    changed = Pattern(tuple("exact" if name in ("birth", "given") else "other" if name == "family" else "missing"
                            for name in FIELDS))  # fmt: skip
    without = fit(made(), START).weights

    def exact(of: Weights) -> float:
        return of.fields["family"]["exact"].m

    sample = made()
    sample.decided[changed, True] += 500
    assert exact(fit(sample, START).weights) < exact(without) - 0.1
    sample.decided = Counter({(changed, False): 500})
    assert exact(fit(sample, START).weights) == pytest.approx(exact(without), abs=0.02)


def test_given_nothing_seen_when_fitted_then_the_numbers_stay_near_those_begun_with() -> None:
    found = fit(Sample(records=10, all_of_them=10), START)
    assert found.weights.fields["birth"]["exact"].m == pytest.approx(0.95, abs=0.01)
    assert found.linked == 0


def test_given_what_was_learned_when_told_then_it_is_numbers_only() -> None:
    sample = made(500, 1000)
    lines = list(learn.told(START, fit(sample, START), sample))
    assert len(lines) == 3 + sum(map(len, FIELDS.values()))
    assert lines[0].startswith("4000 records of 100000, 1500 pairs")
