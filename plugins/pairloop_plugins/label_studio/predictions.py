"""Predictions: the score that Label Studio orders by, and the guess that people may or may not see.

Settings of the project are changed only as far as `may_set` allows, and always all of them in one request: a PATCH of
``show_collab_predictions`` alone would clear ``model_version``, and with it the order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pairloop.errors import BackendRejected, BackendUnavailable
from pairloop.kit.clock import now_time
from pairloop.kit.failpoints import failpoint
from pairloop.records import Prelabel
from pairloop_plugins.label_studio.api import IN_LIST, Api, among, by_campaign
from pairloop_plugins.label_studio.codec import KEY, prediction, prediction_problem, version_of
from pairloop_plugins.label_studio.ledger import Ledger
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.transport import Doubtful, Refused

CHUNK = 1000
_PATIENCE = 10.0  # seconds to wait for a deletion, which takes minutes and goes on without us
_RETRY = 1800.0  # seconds after which a deletion that is not finished is asked for again
_KEPT = 2  # versions: an answer that is being given may refer to the one before

Json = dict[str, Any]


class Predictions:
    """The predictions of one campaign in one project."""

    def __init__(self, api: Api, ledger: Ledger, campaign: str, options: LabelStudioOptions) -> None:
        self._api, self._ledger, self._campaign, self._options = api, ledger, campaign, options

    # ---------------------------------------------------------------------------------------- settings

    def settings(self, version: str, project: Mapping[str, Any]) -> Json:
        """What of the project is to be changed for predictions of this version: {} for nothing."""
        wanted: Json = {
            "show_collab_predictions": self._ledger.any_shown(),
            "model_version": version,
            "sampling": "Uncertainty sampling",
        }
        allowed: Json = {name: value for name, value in wanted.items() if name in self._options.may_set}
        if all(project.get(name) == value for name, value in allowed.items()):
            return {}
        return allowed

    def switch(self, version: str) -> None:
        """Let the project order by, and show or hide, this version; the server must have predictions of it already."""
        state = f"{version} {self._ledger.any_shown()}"
        if self._ledger.fact("switched") == state:
            return
        project, _ = self._api.project()
        changes = self.settings(version, project)
        if changes:
            try:
                self._api.change_project(changes)
            except Refused as refusal:
                raise BackendRejected(
                    f"Label Studio refuses to change {', '.join(sorted(changes))}: {refusal}", "See: pairloop doctor"
                ) from None
        with self._ledger.transaction():
            self._ledger.set_fact("switched", state)
            self._remember(version)
        failpoint("label_studio.switched")

    def _remember(self, version: str) -> None:
        versions = [v for v in (self._ledger.fact("versions") or "").split("\n") if v and v != version]
        self._ledger.set_fact("versions", "\n".join([*versions, version]))

    # ---------------------------------------------------------------------------------------- renewing

    def renew(self, guesses: Mapping[str, Prelabel]) -> None:
        """New predictions for open questions, each once; then the project is switched to them.

        Raises:
            BackendRejected: some were not taken. BackendUnavailable: the same call goes on where this one stopped.
        """
        for model in sorted({guess.model for guess in guesses.values()}):
            made = self._made({key: guess for key, guess in guesses.items() if guess.model == model})
            version = version_of(model, self._campaign)
            for start in range(0, len(made), CHUNK):
                self._send(made[start : start + CHUNK], version)
            if made:
                self.switch(version)

    def _made(self, guesses: Mapping[str, Prelabel]) -> list[Json]:
        tasks = self._ledger.primary(guesses)
        out = []
        for key, task in sorted(tasks.items()):
            question = self._ledger.question(key)
            rank = 0 if question is None else question.rank
            made = {"task": task, **prediction(guesses[key], rank, True, self._campaign, self._options)}
            if prediction_problem(made, self._options.mapping) is None:
                out.append(made)
        return out

    def _send(self, made: Sequence[Json], version: str) -> None:
        """One request, sent once; what the server has is looked up before anything is sent again."""
        marker = f"predicting {version}"
        done = self._ledger.predicted(version)
        todo = [each for each in made if each["task"] not in done]
        if todo and self._ledger.fact(marker) is not None:  # a request before this one got no clear answer
            there = self._there(version, todo)
            todo = [each for each in todo if each["task"] not in there]
        if todo:
            with self._ledger.transaction():
                self._ledger.set_fact(marker, now_time().isoformat())
            failpoint("label_studio.before_predictions")
            self._create(todo, version)
        failpoint("label_studio.after_predictions")
        with self._ledger.transaction():
            self._ledger.set_predicted([each["task"] for each in made], version)
            self._ledger.drop_fact(marker)

    def _create(self, todo: Sequence[Json], version: str) -> None:
        try:
            created = self._api.import_predictions(todo)
        except Doubtful as doubt:
            if {each["task"] for each in todo} - self._there(version, todo):
                raise BackendUnavailable(doubt.message, doubt.hint) from None
            return
        except Refused as refusal:  # a task that was deleted spoils the whole request
            known = self._existing()
            rest = [each for each in todo if each["task"] in known]
            if len(rest) == len(todo):
                raise BackendRejected(f"Label Studio refuses predictions: {refusal}", "See: pairloop doctor") from None
            if rest:
                self._create(rest, version)
            return
        if created != len(todo):
            raise BackendRejected(
                f"Label Studio took {created} of {len(todo)} predictions and dropped the others without a word",
                "Was the labeling config changed? Labeling goes on in the old order.",
            )

    def _there(self, version: str, made: Sequence[Json]) -> set[int]:
        """Those of the tasks that have a prediction of this version on the server."""
        found: set[int] = set()
        keys = sorted({key for each in made if (key := self._ledger.key_of(each["task"])) is not None})
        for start in range(0, len(keys), IN_LIST):
            filters = [by_campaign(self._campaign), among(KEY, keys[start : start + IN_LIST])]
            for task in self._api.predicted(filters, 2 * IN_LIST):
                if any(each.get("model_version") == version for each in task.get("predictions", [])):
                    found.add(int(task["id"]))
        return found

    def _existing(self) -> set[int]:
        return {task for page in self._api.ids([by_campaign(self._campaign)], 5000) for task in page}

    # ---------------------------------------------------------------------------------------- retiring

    def retire(self) -> None:
        """Have the predictions of older models deleted, one version a call, without waiting until it is done.

        Votes that were pulled keep what they say about prefilled answers; so this follows a pull.
        """
        old = [v for v in (self._ledger.fact("versions") or "").split("\n") if v][:-_KEPT]
        for version in old:
            asked = float(self._ledger.fact(f"retiring {version}") or 0.0)
            if now_time().timestamp() - asked < _RETRY:
                continue
            if version not in self._api.model_versions():
                self._forget(version)
                continue
            with self._ledger.transaction():
                self._ledger.set_fact(f"retiring {version}", repr(now_time().timestamp()))
            try:
                self._api.delete_model_version(version, timeout=_PATIENCE)
            except (BackendUnavailable, Refused):
                return  # it goes on without us, or the user may not: old predictions do no harm
            self._forget(version)

    def _forget(self, version: str) -> None:
        with self._ledger.transaction():
            left = [v for v in (self._ledger.fact("versions") or "").split("\n") if v and v != version]
            self._ledger.set_fact("versions", "\n".join(left))
