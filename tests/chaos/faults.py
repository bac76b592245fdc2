"""What was done to hub and partners, to which deliveries, and what became of these."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from statistics import median

NAMED = {
    "down": "hangs up unread",
    "error": "answers 500",
    "rate": "answers 429",
    "lost": "takes it, answer lost",
    "half": "half an answer",
    "garbage": "answers nonsense",
    "slow": "slow",
}
"""Mode of the simulator -> the fault."""

HEAD = ("", "times", "deliveries", "lost", "disorder", "unseen", "drained, s")


@dataclass(slots=True)
class Fault:
    """times: how often it was done. met: ids of the deliveries that it befell.

    drained: seconds until all that had waited was through, after each end of it.
    """

    times: int = 0
    met: set[str] = field(default_factory=set)
    drained: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Faults:
    by_name: dict[str, Fault] = field(default_factory=dict)

    def of(self, name: str) -> Fault:
        return self.by_name.setdefault(name, Fault())

    def inject(self, name: str, *deliveries: str) -> None:
        fault = self.of(name)
        fault.times += 1
        fault.met.update(deliveries)

    def table(
        self, lost: Set[str], disordered: Set[str], unseen: Set[str], every: Iterable[str]
    ) -> str:
        """A line for each fault. unseen: repeats that their partner could not know for such."""
        known = set(every)
        rows = [HEAD]
        for name, fault in sorted(self.by_name.items()):
            met = fault.met & known
            drained = (
                f"{median(fault.drained):.1f}, longest {max(fault.drained):.1f}"
                if fault.drained
                else ""
            )
            counts = (len(met), len(met & lost), len(met & disordered), len(met & unseen))
            rows.append((name, str(fault.times), *(str(count) for count in counts), drained))
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        return "\n".join(
            "  "
            + "  ".join(
                text.ljust(width) if column in (0, len(HEAD) - 1) else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
