"""References must lead somewhere that the writer can see.

A target that is hidden from the writer is answered exactly like one that is absent. Absolute
references to other servers, logical ones and contained ones are kept as they are, and so is what
the superseded version named already: a Task that the hub wrote names more than its owner may see.
The hub itself repeats what a sender named, also when that was deleted since.

http://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from coordhub.errors import Issue, unprocessable
from coordhub.r4 import reference
from coordhub.record.work import Work


def check(work: Work) -> None:
    """422 with one issue for every reference that leads nowhere."""
    issues: list[Issue] = []
    written = {draft.reference for draft in work.drafts if draft.document is not None}
    for draft in work.drafts:
        if draft.document is None or draft.unchanged:
            continue
        kept = {element["reference"] for _, element in reference.walk(draft.before() or {})}
        for path, element in reference.walk(draft.document):
            found = reference.parse_element(element, base=work.hub.base)
            if found is None or found.text in kept:
                continue
            where = f"{draft.at}.{path.partition('.')[2]}" if draft.at else path
            if found.kind == "local" and found.local not in written:
                known = work.located.get((found.type or "", found.id or ""))
                gone = known is not None and known.deleted and not work.caller.is_hub
                if known is None or not known.visible or gone:
                    issues.append(
                        Issue(
                            "not-found",
                            f"{found.local} is not known here. Send it first, or in the same transaction.",
                            f"{where}.reference",
                        )
                    )
            elif found.kind == "urn":
                issues.append(
                    Issue(
                        "not-found",
                        "No entry of this transaction has this fullUrl. Send the target in the same transaction.",
                        f"{where}.reference",
                    )
                )
            elif found.kind == "unreadable":
                issues.append(
                    Issue(
                        "value",
                        "This is not a reference: use Type/id, an absolute URL, urn:uuid: of an entry, or #id.",
                        f"{where}.reference",
                    )
                )
    if issues:
        raise unprocessable(*issues)
