"""Reading a pair source into the pool: merged, grouped, split, and with every rejected row accounted for.

The whole import is one transaction. Near-duplicate prompts share a group; a new prompt that resembles prompts on both
sides of the split belongs to neither and is rejected.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pairloop import splits
from pairloop.config import Config, CurationConfig
from pairloop.curation import Curated, EvaluationTexts, Finding, curate
from pairloop.curation.overlap import texts_of
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.clock import now
from pairloop.kit.failpoints import failpoint
from pairloop.kit.ids import make_pair, prompt_id, response_id
from pairloop.kit.text import clean, clean_json, normalised, plain
from pairloop.protocols import PairSource, Progress
from pairloop.records import (
    Message,
    Prompt,
    PromptContent,
    Provenance,
    RecordedVote,
    RejectedRow,
    Response,
    SourceResponse,
    SourceRow,
    Split,
)
from pairloop.store import Store

REJECTED_FILE = "rejected.jsonl"
REMOVED_FILE = "removed.jsonl"


@dataclass
class IntakeReport:
    """What became of every row."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    prompts: int = 0
    responses: int = 0
    merged_prompts: int = 0
    merged_responses: int = 0
    listed_pairs: int = 0
    recorded_votes: int = 0
    near_duplicate_prompts: int = 0
    groups: int = 0
    holdout_groups: int = 0
    shared_responses: int = 0
    curation: dict[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        """What a person wants to know at once."""
        read = f"{self.prompts} prompts and {self.responses} responses in {self.groups} groups read"
        merged = self.merged_prompts + self.merged_responses
        repeats = f", {merged} repeats merged" if merged else ""
        bad = f", {self.rejected} rows rejected (see {REJECTED_FILE})" if self.rejected else ""
        left_out = self.removed
        gone = f", {left_out} responses or prompts left out (see {REMOVED_FILE})" if left_out else ""
        return f"{read}{repeats}{bad}{gone}"

    @property
    def removed(self) -> int:
        """Findings of curation for which something was left out."""
        return sum(check["removed"] for check in self.curation.get("checks", {}).values())

    def as_json(self) -> dict[str, Any]:
        """For the store and ``--json``."""
        return {**self.__dict__, "reasons": dict(sorted(self.reasons.items()))}


def import_source(
    store: Store, config: Config, source: PairSource, name: str, progress: Progress, base: Path | None = None
) -> IntakeReport:
    """Read all rows; good ones go to the pool, bad ones to ``rejected.jsonl`` with line and reason.

    Responses that curation leaves out go to ``removed.jsonl``. ``base`` is the folder that paths of the configuration
    are relative to, by default the campaign's.

    Raises:
        DataError: the source, or a file that is kept for evaluation, cannot be read at all.
    """
    progress.start(f"reading {name}")
    curated, report, rejected = read_and_curate(source, config.curation, base or store.folder, progress)
    rows = curated.rows
    groups = _Grouping(store, config, rows, report)
    recorded: dict[str, list[RecordedVote]] = {}
    with store.transaction():
        if groups.limit is not None:
            store.set_meta("holdout_threshold", groups.limit)
        for row in rows:
            reason = groups.conflict(row)
            if reason is not None:
                rejected.append(RejectedRow(row.line, reason, plain(row.prompt)[:80]))
                continue
            _add_row(store, row, groups, report, recorded)
        _add_recorded(store, recorded, report)
        report.rejected = len(rejected)
        report.reasons = Counter(row.reason.partition(":")[0] for row in rejected)
        report.groups = len(store.pool.groups())
        report.holdout_groups = sum(side is Split.HOLDOUT for side in store.pool.groups().values())
        report.shared_responses = _shared_responses(store)
        latest = store.rounds.latest()
        if latest is not None and (report.prompts or report.responses or report.listed_pairs):
            store.set_meta("pool_grew_after", latest.number)  # an exhausted campaign may go on
        _write_rejected(store.folder / REJECTED_FILE, rejected)
        _write_removed(store.folder / REMOVED_FILE, curated.findings)
        store.add_import(source.digest(), name, report.as_json(), now())
        store.events.add("data_imported", None, **report.as_json())
        failpoint("intake.before_commit")
    failpoint("intake.after_commit")
    progress.finish()
    return report


def read_and_curate(
    source: PairSource, config: CurationConfig, base: Path, progress: Progress
) -> tuple[Curated, IntakeReport, list[RejectedRow]]:
    """All rows, cleaned and curated; a report that counts them so far; and the rejected ones. Nothing is stored.

    Raises:
        DataError: the source, or a file that is kept for evaluation, cannot be read at all.
    """
    report = IntakeReport()
    good: list[SourceRow] = []
    rejected: list[RejectedRow] = []
    for row in source.rows():
        report.rows += 1
        progress.advance()
        if isinstance(row, RejectedRow):
            rejected.append(row)
        else:
            good.append(row)
    cleaned = list(_cleaned(good, rejected))
    curated = curate(cleaned, config, _evaluation(config, base))
    rejected += curated.rejected
    report.curation = curated.summary(config)
    return curated, report, rejected


def _evaluation(config: CurationConfig, base: Path) -> EvaluationTexts | None:
    if not config.evaluation_files or config.evaluation == "off":
        return None
    paths = (base / Path(name).expanduser() for name in config.evaluation_files)
    return EvaluationTexts((text for path in paths for text in texts_of(path)), config.evaluation_words)


def _cleaned(rows: list[SourceRow], rejected: list[RejectedRow]) -> Iterator[SourceRow]:
    """No NUL and no lone surrogate anywhere; rows whose prompt is empty or that keep fewer than two texts go."""
    for row in rows:
        prompt = _clean_prompt(row.prompt)
        texts = [clean(response.text) for response in row.responses]
        if not plain(prompt).strip():
            rejected.append(RejectedRow(row.line, "the prompt is empty"))
        elif len(set(texts)) < 2:
            rejected.append(RejectedRow(row.line, "fewer than two different responses", texts[0][:80] if texts else ""))
        else:
            responses = tuple(
                SourceResponse(text, _clean_provenance(old.provenance), clean_json(old.metadata))
                for old, text in zip(row.responses, texts, strict=True)
            )
            votes = tuple((pair, _clean_vote(vote)) for pair, vote in row.recorded)
            group = None if row.group is None else clean(row.group)
            yield SourceRow(prompt, responses, row.pairs, votes, group, clean_json(row.metadata), row.line)


def _clean_prompt(prompt: PromptContent) -> PromptContent:
    if isinstance(prompt, str):
        return clean(prompt)
    return tuple(Message(clean(m.role), clean(m.content)) for m in prompt)


def _clean_provenance(old: Provenance) -> Provenance:
    model = None if old.model is None else clean(old.model)
    return replace(old, source=clean(old.source), model=model, sampling=clean_json(old.sampling))


def _clean_vote(old: RecordedVote) -> RecordedVote:
    return replace(old, annotator=clean(old.annotator), reason=None if old.reason is None else clean(old.reason))


class _Grouping:
    """Groups of all prompts, known and new: named groups, near-duplicates joined, sides kept."""

    def __init__(self, store: Store, config: Config, rows: list[SourceRow], report: IntakeReport) -> None:
        self._seed = config.campaign.seed
        known = {prompt.id: prompt for prompt, _, _ in store.pool.prompts()}
        self._sides: dict[str, Split] = store.pool.groups()
        contents: dict[str, PromptContent] = {pid: prompt.content for pid, prompt in known.items()}
        self._parent: dict[str, str] = {pid: f"g:{prompt.group}" for pid, prompt in known.items()}
        self._parent.update({f"g:{group}": f"g:{group}" for group in self._sides})
        self._conflicts: dict[str, str] = {}
        for row in rows:
            pid = prompt_id(row.prompt)
            contents.setdefault(pid, row.prompt)
            self._parent.setdefault(pid, pid)
            if row.group is not None:
                node = f"g:{row.group}"
                self._parent.setdefault(node, node)
                self._join(pid, node)
        self._join_duplicates(contents, config.data.near_duplicate_threshold, report)
        names = {pid: self._root_name(pid) for pid in contents}
        self._names = names
        self.limit = self._threshold(store.get_meta("holdout_threshold"), config.holdout.fraction)

    def _threshold(self, stored: float | None, fraction: float) -> float | None:
        """Fixed by the first import that has anything to split; None before: an empty file must not decide it."""
        names = sorted(set(self._names.values()))
        if stored is not None or len(names) < 2:
            return stored
        return splits.threshold(self._seed, names, fraction)

    def _join_duplicates(self, contents: Mapping[str, PromptContent], limit: float, report: IntakeReport) -> None:
        ids = list(contents)
        texts = [plain(contents[pid]) for pid in ids]
        first: dict[str, str] = {}
        for pid, text in zip(ids, texts, strict=True):
            other = first.setdefault(normalised(text), pid)
            if other != pid and self._join(other, pid):
                report.near_duplicate_prompts += 1
        if limit < 1.0:
            from pairloop.kit.near_duplicates import near_duplicate_links

            for i, j in near_duplicate_links(texts, limit):
                if self._join(ids[i], ids[j]):
                    report.near_duplicate_prompts += 1

    def _find(self, node: str) -> str:
        root = node
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[node] != root:
            self._parent[node], node = root, self._parent[node]
        return root

    def _join(self, one: str, other: str) -> bool:
        """Union; a known group stays the root. Two known groups on different sides are a conflict."""
        a, b = self._find(one), self._find(other)
        if a == b:
            return False
        side_a, side_b = self._side_of(a), self._side_of(b)
        if side_a is not None and side_b is not None:
            if side_a is not side_b:
                self._conflicts[other] = "near-duplicate of prompts on both sides of the holdout split"
            return False
        if side_b is not None or (side_a is None and b.startswith("g:") and not a.startswith("g:")):
            a, b = b, a
        self._parent[b] = a
        return True

    def _side_of(self, root: str) -> Split | None:
        return self._sides.get(root[2:]) if root.startswith("g:") else None

    def _root_name(self, pid: str) -> str:
        root = self._find(pid)
        return root[2:] if root.startswith("g:") else "n" + digest(["group", root])[:12]

    def conflict(self, row: SourceRow) -> str | None:
        """Why this row cannot be on either side, or None."""
        return self._conflicts.get(prompt_id(row.prompt))

    def group_of(self, row: SourceRow) -> tuple[str, Split]:
        """Name and side of the row's group."""
        name = self._names[prompt_id(row.prompt)]
        limit = -1.0 if self.limit is None else self.limit
        return name, self._sides.get(name) or splits.side(self._seed, name, limit)


def _add_row(
    store: Store, row: SourceRow, groups: _Grouping, report: IntakeReport, recorded: dict[str, list[RecordedVote]]
) -> None:
    pid = prompt_id(row.prompt)
    group, split = groups.group_of(row)
    store.pool.add_group(group, split)
    new = store.pool.add_prompt(Prompt(pid, row.prompt, group, row.metadata), "all" if row.pairs is None else "listed")
    report.accepted += 1
    report.prompts += new
    report.merged_prompts += not new
    ids = [response_id(pid, response.text) for response in row.responses]
    for rid, response in zip(ids, row.responses, strict=True):
        added = store.pool.add_response(Response(rid, pid, response.text, (response.provenance,), response.metadata))
        report.responses += added
        report.merged_responses += not added
    for i, j in row.pairs or ():
        if ids[i] != ids[j]:
            report.listed_pairs += store.pool.add_pair(make_pair(pid, ids[i], ids[j]))
    for (i, j), vote in row.recorded:
        if ids[i] == ids[j]:
            continue
        pair = make_pair(pid, ids[i], ids[j])
        store.pool.add_pair(pair)
        choice = vote.choice if ids[i] == pair.first else vote.choice.mirrored()
        recorded.setdefault(pair.id, []).append(replace(vote, choice=choice))


def _add_recorded(store: Store, recorded: Mapping[str, list[RecordedVote]], report: IntakeReport) -> None:
    """Votes that are not stored yet: a file that grew and is read again brings its old votes only once."""
    known = store.pool.recorded(recorded)
    for pair_id, votes in recorded.items():
        stored, fresh = Counter(known[pair_id]), []
        for vote in votes:
            if stored[vote]:
                stored[vote] -= 1
            else:
                fresh.append(vote)
        store.pool.add_recorded(pair_id, fresh)
        report.recorded_votes += len(fresh)


def _shared_responses(store: Store, shortest: int = 80) -> int:
    """Texts of some length that appear on both sides of the split: reported, since they leak."""
    sides = store.pool.groups()
    side_of = {prompt.id: sides[prompt.group] for prompt, _, _ in store.pool.prompts()}
    seen: dict[str, set[Split]] = {}
    for response in store.pool.responses():
        if len(response.text) >= shortest:
            seen.setdefault(digest(normalised(response.text)), set()).add(side_of[response.prompt_id])
    return sum(len(found) > 1 for found in seen.values())


def _write_removed(path: Path, findings: list[Finding]) -> None:
    """What curation left out in this import, with its reason."""
    lines = [canonical_json(finding.as_json()) for finding in findings if finding.removed]
    if lines or path.exists():
        write_atomic(path, "".join(line + "\n" for line in lines))


def _write_rejected(path: Path, rejected: list[RejectedRow]) -> None:
    lines = [canonical_json({"line": r.line, "reason": r.reason, "excerpt": clean(r.excerpt)}) for r in rejected]
    if lines or path.exists():
        write_atomic(path, "".join(line + "\n" for line in lines))
