"""No read without a Viewer: what `store` gives out of resources, it gives to someone.

By the signatures, so that a new function is seen on the day it is written. Exempt is only what is
named here, with its reason.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import typing
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest

import coordhub.store
from coordhub.store.resources import Located, Version
from coordhub.store.visibility import Viewer

EXEMPT = {
    "resources.lock": (
        "The lock before a write. Its rids come from `locate`, which looked with the writer's "
        "eyes, or from the locked episode, where the rules decide for all parties at once: a "
        "Viewer would hide the siblings from the rule that must cancel them."
    ),
    "resources.version_of": "Shapes a row that a statement with a Viewer has found; no I/O.",
    "scope_criteria.holds": "A condition on a row that a statement with a Viewer has at hand; no I/O.",
    "visibility.ruling_at": "SQL of the rule that decided, for a statement with a Viewer; no I/O.",
    "clients.read": "Who calls, before there is a Viewer: a reference, no content.",
    "clients.presenting": "Who calls, before there is a Viewer: a reference, no content.",
    "clients.of_all": "The operators' list of clients: references, no content.",
    "consents.permitted": (
        "Looks with the eyes of each recipient in turn: who may not see the patient any more; rids of Tasks."
    ),
    "consents.requests_told": (
        "The same of those whose data are asked for: who may not be told any more; rids of Tasks."
    ),
    "consents.lock_requests": "Those of them, locked, that nobody has answered yet: rids, no content.",
    "results.asking": "Who wrote that it wants a copy, before it is asked what it sees: rids, no content.",
    "mailboxes.waiting": "What is owed at one address, for the worker: ids and rids, no content.",
    "measures.areas": "Counts of the community for the operator: nobody's name, nothing of victim service providers.",
    "expunge.chart": "All of a patient's chart, to be removed by its owner's command: rids, no content.",
    "expunge.hindrances": "Why that cannot be done now: kinds and rids, no content.",
    "expunge.who_was_told": "Who has copies of what goes, told to the operator: names of organizations, ids.",
    "expunge.mentioned_by": "What will refer to a tombstone, told to the operator: ids, no content.",
    "expunge.back_again": "What a backup brought back, to be removed again: rids, no content.",
    "retention.due": "Counts what a schedule would remove.",
    "retention.holds": "The operators' list of holds: ids of Patients and reasons, no content.",
    "grants.opens_chart": "Asks whether a sender holds a record or treats, for the decision to open it: no content.",
    "grants.shareable": "Makes the Viewer itself, of the organization whose sharing is decided.",
    "consents.may_be_asked": "Those who might be asked, before they are: rids, no content.",
    "consents.said_of": "The same, with why not, before anybody is asked: rids, no content.",
    "consents.would_be_shown": "With the eyes of each who is asked, before a kit goes along: rids, no content.",
    "consents.are_shown": "The same, of what they see already: rids, no content.",
    "grants.written_by": "Asks who wrote what, for the decision to share it: rids, no content.",
    "order_numbers.claim": "Asks whether what a sender gave a number to is still there: rids, no content.",
    "letters.find": "The operators' list of deliveries: ids, states and reasons, no content.",
    "pauses.standing": "What waits and is open by organization, after a restore: ids and counts.",
    "letters.is_apart": "Answers whether anything is of a victim service provider, to refuse it.",
    "letters.discard": "Gives deliveries up by the ids of their Endpoint and Organization; ids, no content.",
    "changes.claim_patient": "The lock of the relay where no referral is: a rid.",
    "circle.around": "Looks with the eyes of each of them in turn, for the decision whom to tell: rids.",
    "reindex.assign_patients": "Writes whose record each is, as its body says, and gives back nothing.",
    "results.shown_to": "Looks with the eyes of each who is to have it: which of them may; rids, no content.",
    "results.named_by": "Which versions a Task said were results, for each recipient to be asked: rids.",
    "results.brought": "What somebody has written of a referral, to know whether something is to come yet: rids.",
    "results.copies": "What a requester wrote of whom is to hear, for the decision to share: rids.",
    "sensitive.held": "Holds origins still for a label's sake: rids and classes, no content.",
    "sensitive.lower_labels": "Writes classes beside the text, and gives back nothing.",
    "sensitive.raise_labels": "Writes classes beside the text, and gives back nothing.",
    "invariants.violations": "The operators' check of the ledger: answers with ids and counts.",
    "links.try_link": "Asks whether what a link opens is there yet, before there is a Viewer: rids, no content.",
    "links.visit": "Asks whether what a visit is of is there yet, before there is a Viewer: rids, no content.",
    "persons.comparable": "Which Patients may be matched at all, asked before they are: rids, no content.",
    "persons.saw_both": "Who was shown both charts that a wrong link joined, told to a steward: rids, no content.",
    "vsp.places_state": "Whether what providers keep of their places has changed: counts and a time.",
    "vsp.seal": "Puts texts under a key, and gives back nothing.",
    "vsp.seal_versions_before": "Puts texts under a key, and gives back nothing.",
    "vsp.forget_doings": "Takes from the ledger what a provider did, and gives back nothing.",
    "reporting.prepare": "Builds the wall before reports, at a migration, and gives back nothing.",
    "transact.transact": "The write path: gives back nothing of a resource.",
}
"""Functions that touch the tables of resources without being given a Viewer, and why they may."""

CONTENT = (Version, Located)


def _functions() -> Iterator[tuple[str, FunctionType]]:
    for module in pkgutil.iter_modules(coordhub.store.__path__, "coordhub.store."):
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if inspect.isfunction(value) and value.__module__ == module.name and name[0] != "_":
                yield f"{module.name}.{name}".removeprefix("coordhub.store."), value


def _names_within(annotation: Any) -> set[Any]:
    return {annotation, *(x for a in typing.get_args(annotation) for x in _names_within(a))}


def _meant(annotation: Any, names: dict[str, Any]) -> Any:
    return eval(annotation, names) if isinstance(annotation, str) else annotation


def _gives_content(function: FunctionType) -> bool:
    """Whether the answer holds a resource's content, also within a dataclass such as Page."""
    written = inspect.unwrap(function)  # what decorates it has other globals
    found = _names_within(_meant(written.__annotations__["return"], written.__globals__))
    inner = {
        _meant(annotation, vars(inspect.getmodule(each)))
        for each in found
        if isinstance(each, type) and hasattr(each, "__dataclass_fields__")
        for annotation in each.__annotations__.values()
    }
    return any(content in _names_within(each) for each in (*found, *inner) for content in CONTENT)


def _takes_viewer(function: FunctionType) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(
        each.annotation == "Viewer" and each.default is inspect.Parameter.empty
        for each in parameters
    ) and (function.__globals__["Viewer"] is Viewer)


def _reads_resources(function: FunctionType) -> bool:
    """Whether its SQL, or SQL of its module that it names, reads the tables of resources."""
    module = inspect.getmodule(function)
    assert module is not None
    tree = ast.parse(inspect.getsource(function))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    texts += [value for name, value in vars(module).items() if name in named]
    words = " ".join(text for text in texts if isinstance(text, str)).lower().split()
    tables = {"resource", "resource_version"}
    return any(
        word in {"from", "join"} and following in tables
        for word, following in itertools.pairwise(words)
    )


FUNCTIONS = dict(_functions())


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in EXEMPT])
def test_given_a_function_that_reads_resources_when_looked_at_then_it_asks_for_whom(
    name: str,
) -> None:
    function = FUNCTIONS[name]
    if _gives_content(function) or _reads_resources(function):
        assert _takes_viewer(function), f"{name} reads resources for nobody: give it a Viewer"


def test_given_the_readers_when_counted_then_the_test_above_sees_them() -> None:
    seen = {
        name
        for name, function in FUNCTIONS.items()
        if _takes_viewer(function) and (_gives_content(function) or _reads_resources(function))
    }
    assert seen >= {
        "resources.read",
        "resources.read_rids",
        "resources.read_version",
        "resources.read_written",
        "history.history",
        "include.included",
        "lastn.newest",
        "labels.in_use",
        "resources.locate",
        "search.search",
        "search_types.search_types",
        "search_types.count",
    }


@pytest.mark.parametrize("name", [name for name in EXEMPT if name in FUNCTIONS])
def test_given_an_exemption_when_looked_at_then_it_is_still_needed(name: str) -> None:
    function = FUNCTIONS[name]
    assert not _takes_viewer(function)
    if name == "resources.lock":
        assert _gives_content(function)
