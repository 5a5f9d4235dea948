"""``pairloop init --backend label-studio``: a project with our labeling config, or that of an earlier try."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairloop.errors import BackendRejected, ConfigError
from pairloop.protocols import Prepared, Preparing
from pairloop_plugins.label_studio.api import Api, Json
from pairloop_plugins.label_studio.attach import propose, required_elsewhere
from pairloop_plugins.label_studio.connect import connect
from pairloop_plugins.label_studio.labeling import own_config
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.transport import Refused

ALL_SETTINGS = ("model_version", "sampling", "show_collab_predictions")
_LONGEST = 50  # characters of a title that Label Studio takes


def prepare(options: LabelStudioOptions, preparing: Preparing, **extra: Any) -> Prepared:
    """Make the project of a new campaign; with ``dry_run`` say what would be made. ``extra``: see `connect`.

    Settings: ``instructions`` (a Markdown file), ``title``.

    Raises:
        ConfigError: an unknown setting, or a file that cannot be read. BackendError.
    """
    settings = dict(preparing.settings)
    title_given = "title" in settings
    title = settings.pop("title", f"pairloop {preparing.campaign}")[:_LONGEST]
    instructions = _instructions(settings.pop("instructions", None), preparing.folder)
    if settings:
        raise ConfigError(
            f"--set: Label Studio knows no {', '.join(sorted(settings))}", "It knows: instructions, title, and options."
        )
    if options.project is not None:
        return _attached(options, title_given, instructions, preparing, **extra)
    wanted = _wanted(title, instructions, preparing.campaign, options)
    made = {"url": options.url, "may_set": list(ALL_SETTINGS)}
    if preparing.dry_run:
        return Prepared(made, (f"would POST a new project {title!r} to {options.url}",))
    transport = connect(options, preparing.folder, **extra)
    try:
        api = Api(transport, 0)
        project, told = _found_or_made(api, wanted)
    finally:
        transport.close()
    number = int(project["id"])
    return Prepared({**made, "project": number}, (f"{told}: {options.url}projects/{number}/data",))


def _attached(
    options: LabelStudioOptions, titled: bool, instructions: str | None, preparing: Preparing, **extra: Any
) -> Prepared:
    """A project of theirs: what its config means, and nothing is written.

    Raises:
        ConfigError: that is not certain, or new tasks would lack a field.
    """
    if titled or instructions is not None:
        raise ConfigError("--set: title and instructions of a project of yours stay as they are", "Leave them out.")
    transport = connect(options, preparing.folder, **extra)
    try:
        project, _ = Api(transport, options.project or 0).project()
    finally:
        transport.close()
    config = str(project.get("label_config") or "")
    found = propose(config, options.mapping)
    lacking = required_elsewhere(config, found.mapping)
    if lacking and options.adopt == "no":
        raise ConfigError(
            f"the labeling config displays {', '.join(lacking)} as well, which no question of pairloop has",
            "Use the tasks that are there: --set adopt=unlabelled. Or attach to another project.",
        )
    made = {**options.model_dump(mode="json", exclude_unset=True), "url": options.url, "project": options.project}
    made["mapping"] = found.mapping.model_dump(mode="json", exclude_none=True)
    for name in ("rating", "reason"):  # none, and not the default
        made["mapping"].setdefault(name, "")
    title = str(project.get("title"))[:_LONGEST]
    told = (
        f"Attached to project {options.project} {title!r}: {options.url}projects/{options.project}/data",
        *_uses(options),
    )
    if options.adopt == "no":
        return Prepared(made, told, found.guessed)
    return Prepared(made, told, found.guessed, data={"source": "label-studio", "options": dict(made)})


def _uses(options: LabelStudioOptions) -> tuple[str, ...]:
    """What will be done in a project of theirs."""
    if options.adopt == "no":
        said = "Questions become new tasks in it; what is there already is never touched."
    else:
        which = "the tasks that nobody has answered" if options.adopt == "unlabelled" else "all its tasks, with answers"
        said = f"The pool is {which}; none is imported, changed or deleted."
    allowed = ", ".join(options.may_set)
    return (said, f"Settings that may be changed: {allowed}." if allowed else "No setting of it will be changed.")


def _wanted(title: str, instructions: str | None, campaign: str, options: LabelStudioOptions) -> Json:
    """The settings of a project of ours: predictions hidden, answers required, the queue in our order."""
    return {
        "title": title,
        "description": f"Made by pairloop for the campaign {campaign}.",
        "label_config": own_config(markdown=options.markdown),
        "expert_instruction": instructions or "",
        "show_instruction": instructions is not None,
        "show_skip_button": True,
        "enable_empty_annotation": False,
        "show_collab_predictions": False,
        "sampling": "Sequential sampling",
        "maximum_annotations": 1,
    }


def _found_or_made(api: Api, wanted: Mapping[str, Any]) -> tuple[Json, str]:
    """The empty project of an earlier try whose answer got lost, or a new one."""
    same = ("title", "description", "label_config")
    for project in api.projects(str(wanted["title"])):
        if all(str(project.get(name)).strip() == str(wanted[name]).strip() for name in same):
            empty = Api(api.http, int(project["id"])).count([]) == 0
            if empty:
                return project, "Found the empty project of an earlier try"
    try:
        return api.create_project(wanted), "Made a project"
    except Refused as refusal:
        raise BackendRejected(
            f"Label Studio refuses to make a project: {refusal}", "May the user of the token make projects?"
        ) from None


def _instructions(file: str | None, folder: Path) -> str | None:
    """A Markdown file as HTML; HTML in it is shown as text."""
    if file is None:
        return None
    from pairloop.kit.extras import require

    path = folder / Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--set instructions: {path} cannot be read: {error}", "Name a Markdown file.") from None
    markdown: Any = require("markdown_it", "label-studio", "labeling instructions from Markdown")
    rendered: str = markdown.MarkdownIt("commonmark", {"html": False}).render(text)
    return rendered
