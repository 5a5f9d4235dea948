"""What ``pairloop doctor`` says about a Label Studio: each sentence was looked at, by reading only."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from pairloop.errors import BackendRejected, PairloopError
from pairloop.kit.clock import now_time
from pairloop.protocols import Check
from pairloop_plugins.label_studio import labeling
from pairloop_plugins.label_studio.api import Api, Json
from pairloop_plugins.label_studio.connect import UNENCRYPTED, read_token
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.transport import Refused

OLDEST, RECENT = (1, 18), (1, 23)
_TOO_OLD = "It has known security holes: upgrade it. To go on all the same: allow_old = true in [backend.options]"
COMMUNITY = (
    "Community cannot assign annotators or ask several people about single tasks: replicas are tasks of their own,"
    " and a person who answers two of a pair counts once"
)
_WARN_DAYS = 14
_NEEDED = ("projects.view", "tasks.create", "tasks.view", "tasks.delete", "annotations.view", "predictions.any")


def examine(api: Api, options: LabelStudioOptions) -> Iterator[Check]:
    """Server, token, sign-up, project, config, permissions, predictions; stops where nothing more can be seen."""
    if options.unencrypted:
        yield Check("label studio: connection", "warn", UNENCRYPTED.format(url=options.url))
    checks: list[Callable[[], Iterator[Check]]] = [
        lambda: _server(api, options),
        lambda: _token(api, options),
        lambda: _sign_up(api),
        lambda: _project(api, options),
    ]
    for check in checks:
        try:
            yield from check()
        except PairloopError as error:
            yield Check("label studio", "fail", error.message, error.hint)
            return
        except Refused as refusal:
            yield Check("label studio", "fail", f"{options.url} refuses: {refusal}", None)
            return


def supported(version: Json, options: LabelStudioOptions) -> str:
    """The release, where it is one that pairloop talks to.

    Raises:
        BackendRejected: it is too old.
    """
    release = str(version.get("release") or "?")
    number = _numbers(release)
    if number and number < OLDEST and not options.allow_old:
        raise BackendRejected(f"{options.url} is Label Studio {release}: older than 1.18", _TOO_OLD)
    return release


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


def _server(api: Api, options: LabelStudioOptions) -> Iterator[Check]:
    found = api.version()
    release, edition = str(found.get("release") or "?"), edition_of(found)
    number = _numbers(release)
    text = f"{options.url} is Label Studio {release}, {edition}"
    name = "label studio: server"
    if number and number < OLDEST and not options.allow_old:
        yield Check(name, "fail", f"{text}: older than 1.18", _TOO_OLD)
    elif not number or number < RECENT:
        yield Check(name, "warn", f"{text}: older than 1.23, or unknown; pairloop is tested with 1.23.2")
    else:
        yield Check(name, "ok", text)
    if edition == "Community":
        yield Check("label studio: edition", "ok", COMMUNITY)


def edition_of(version: Json) -> str:
    """Community or Enterprise."""
    said = version.get("edition")
    if isinstance(said, str) and said:
        return said
    return "Enterprise" if any("enterprise" in str(key) for key in version) else "Community"


def _token(api: Api, options: LabelStudioOptions) -> Iterator[Check]:
    token = read_token(options)
    user = api.whoami()
    text = f"{token.kind} of user {user.get('id')}"
    ends = token.expires
    if ends is None:
        yield Check("label studio: token", "ok", f"{text}; it does not expire by itself")
        return
    days = (ends - now_time()).days
    said = f"{text}; it expires on {ends.date().isoformat()}"
    hint = "Make a new one under Account & Settings." if days < _WARN_DAYS else None
    yield Check("label studio: token", "ok" if hint is None else "warn", said, hint)


def _sign_up(api: Api) -> Iterator[Check]:
    name = "label studio: sign-up"
    page = api.http.public_page("user/login/")
    if page is None:
        yield Check(name, "ok", "whether anybody may register cannot be seen from here")
    elif "user/signup" in page:
        yield Check(name, "warn", "anybody who reaches the server may register and answer questions",
                    "Start Label Studio with DISABLE_SIGNUP_WITHOUT_LINK=true.")  # fmt: skip
    else:
        yield Check(name, "ok", "nobody can register without a link")


def _project(api: Api, options: LabelStudioOptions) -> Iterator[Check]:
    if options.project is None:
        yield Check("label studio: project", "fail", "backend.options.project names none",
                    "Let pairloop make one: pairloop init FOLDER --backend label-studio")  # fmt: skip
        return
    project, _ = api.project()
    title = str(project.get("title"))[:60]
    total = api.count([])
    yield Check("label studio: project", "ok", f"project {options.project} {title!r} with {total} tasks")
    problems = labeling.problems(str(project.get("label_config") or ""), options.mapping)
    if problems:
        yield Check("label studio: labeling config", "fail", "; ".join(problems),
                    "Adapt backend.options.mapping, or the config.")  # fmt: skip
    else:
        yield Check("label studio: labeling config", "ok", "answers can be read: " + _means(options))
    yield from _permissions(api.whoami())
    yield from _predictions(project, options)
    yield from _queue(project)


def _means(options: LabelStudioOptions) -> str:
    mapping = options.mapping
    if mapping.kind == "pairwise":
        return f'Pairwise "{mapping.preference}"'
    values = ", ".join(f"{value} = {choice.value}" for value, choice in mapping.choices.items())
    return f'Choices "{mapping.preference}" ({values})'


def _permissions(user: Json) -> Iterator[Check]:
    had = user.get("permissions")
    if not isinstance(had, list):
        return
    missing = [name for name in _NEEDED if name not in had]
    if missing:
        yield Check("label studio: permissions", "warn", f"the user lacks {', '.join(missing)}",
                    "pairloop makes, reads and deletes tasks of its own, and adds predictions.")  # fmt: skip
    else:
        yield Check("label studio: permissions", "ok", "the user may do all that pairloop does")


def _predictions(project: Json, options: LabelStudioOptions) -> Iterator[Check]:
    name, visible = "label studio: predictions", bool(project.get("show_collab_predictions"))
    if "show_collab_predictions" in options.may_set:
        yield Check(name, "ok", "hidden or shown as backend.prelabels says")
    elif visible:
        yield Check(name, "warn", "this project shows predictions to annotators, and pairloop may not change that",
                    'Hidden guesses are sent as scores only. Or: may_set = ["show_collab_predictions", …]')  # fmt: skip
    else:
        yield Check(name, "ok", "this project hides predictions, and pairloop may not change that")


def _queue(project: Json) -> Iterator[Check]:
    overlap: Any = project.get("maximum_annotations")
    if isinstance(overlap, int) and overlap > 1:
        text = f"{overlap} people answer each task of this project: each question is paid for so often"
        hint = "Set round.replicas = 1 and mind budget.cost, or lower the overlap."
        yield Check("label studio: overlap", "warn", text, hint)
    if project.get("enable_empty_annotation"):
        yield Check(
            "label studio: empty answers", "warn", "people may submit without an answer, which counts as a skip"
        )
