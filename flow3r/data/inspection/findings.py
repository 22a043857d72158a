"""What an inspection finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

NAMED = 20
"""How many findings of one kind are spelled out; the rest is counted."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`) or looks wrong (`warning`)."""

    level: Literal["error", "warning"]
    kind: str
    """E.g. `missing-file`, `image`, `depth`, `pose`, `axes`."""
    where: str
    """Scene, or scene and frame."""
    message: str


@dataclass
class Findings:
    """Everything found so far."""

    found: list[Finding] = field(default_factory=list)

    def error(self, kind: str, where: str, message: str) -> None:
        """Something that makes the data unusable as they are."""
        self.found.append(Finding("error", kind, where, message))

    def warn(self, kind: str, where: str, message: str) -> None:
        """Something to look at."""
        self.found.append(Finding("warning", kind, where, message))

    @property
    def errors(self) -> int:
        return sum(finding.level == "error" for finding in self.found)

    @property
    def warnings(self) -> int:
        return len(self.found) - self.errors

    def as_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [asdict(finding) for finding in self.found]

    def lines(self) -> list[str]:
        """One line per finding, errors first, at most `NAMED` of each kind."""
        lines = []
        for level in ("error", "warning"):
            own = [finding for finding in self.found if finding.level == level]
            for kind in dict.fromkeys(finding.kind for finding in own):
                same = [finding for finding in own if finding.kind == kind]
                lines += [f"{level} ({kind}) {f.where}: {f.message}" for f in same[:NAMED]]
                if len(same) > NAMED:
                    lines.append(f"{level} ({kind}): and {len(same) - NAMED} more")
        return lines
