"""GENERATING: sample new responses from the tuned and from the initial policy, and pair them up for the next rounds."""

from collections.abc import Sequence

from pairloop.errors import ContractViolation, ModelError
from pairloop.kit.canonical import canonical_json
from pairloop.kit.failpoints import failpoint
from pairloop.kit.ids import make_pair, response_id
from pairloop.kit.seeds import generator
from pairloop.kit.text import clean
from pairloop.pool import Pool
from pairloop.protocols import Generated, PolicyPrompt
from pairloop.records import Pair, Provenance, Response
from pairloop.states import RoundState
from pairloop.steps.base import Advanced, Outcome, StepContext
from pairloop.steps.contract import calling
from pairloop.steps.tune import draw_prompts
from pairloop.store.rounds import Round

INITIAL, TUNED = "policy-initial", "policy-tuned"


def run(ctx: StepContext, current: Round) -> Outcome:
    """Sample, then commit responses, pairs and the new state together."""
    pool = ctx.pool()
    settings = ctx.config.policy
    prompts = draw_prompts(ctx, pool, settings.sample_prompts, current.number, "generate")
    new: list[Response] = []
    pairs: list[Pair] = []
    if settings.samples and prompts:
        ctx.progress.start(f"sampling responses to {len(prompts)} prompts")
        tuned = _sample(ctx, current, prompts, TUNED)
        initial = _sample(ctx, current, prompts, INITIAL)
        new = _distinct([*tuned, *initial])
        pairs = _pairs(ctx, current, pool, tuned, initial)
        ctx.progress.finish()
    failpoint("generate.before_commit")
    with ctx.store.transaction():
        added = sum(ctx.store.pool.add_response(response) for response in new)
        made = sum(ctx.store.pool.add_pair(pair, fresh=current.number) for pair in pairs)
        ctx.store.rounds.move(current, RoundState.CLOSED)
        ctx.store.events.add("responses_generated", current.number, responses=added, pairs=made)
    failpoint("generate.after_commit")
    return Advanced(current.number, RoundState.CLOSED, f"{added} new responses, {made} new pairs")


def _sample(ctx: StepContext, current: Round, prompts: Sequence[PolicyPrompt], which: str) -> list[Response]:
    """Responses of the tuned or of the initial policy; empty texts are left out."""
    row = ctx.store.models.current("policy" if which == TUNED else "reference")
    loaded = ctx.current_model()
    if row is None or row.artifact is None or loaded is None:
        raise ModelError(f"there is no model to sample {which} responses from")
    folder, name = ctx.store.artifacts.path(row.artifact), ctx.config.policy.tuner or ""
    with calling("policy tuner", name):
        generated = ctx.parts.tuner.generate(
            folder,
            prompts,
            ctx.config.policy.samples,
            loaded[1] if which == TUNED else None,
            seed=ctx.seed(current.number, "generate", which),
            threads=ctx.config.resources.threads,
        )
        _check_asked(generated, prompts, name)
        return [_response(item, which, row.artifact, current.number) for item in generated if item.text.strip()]


def _check_asked(generated: Sequence[Generated], prompts: Sequence[PolicyPrompt], name: str) -> None:
    """Only prompts that were given, and sampling parameters that can be stored.

    Raises:
        ContractViolation: names the tuner.
    """
    known = {prompt.id for prompt in prompts}
    for item in generated:
        if item.prompt_id not in known:
            raise ContractViolation(
                f"policy tuner {name!r} answered a prompt that it was not given: {item.prompt_id!r}"
            )
        canonical_json(dict(item.sampling))


def _response(item: Generated, which: str, policy: str, number: int) -> Response:
    text = clean(item.text)
    name = INITIAL if which == INITIAL else f"{TUNED}-{number}"
    provenance = Provenance("policy", name, policy, number, dict(item.sampling))
    return Response(response_id(item.prompt_id, text), item.prompt_id, text, (provenance,), {})


def _distinct(responses: Sequence[Response]) -> list[Response]:
    """Same text, same response: the store merges the provenance of repeats, so only order matters here."""
    return list({(r.id, r.provenance[0].model): r for r in responses}.values())


def _pairs(
    ctx: StepContext, current: Round, pool: Pool, tuned: Sequence[Response], initial: Sequence[Response]
) -> list[Pair]:
    """Each tuned response against the initial one of its prompt, and against one response of the data."""
    rng = generator(ctx.config.campaign.seed, current.number, "opponents")
    opponents: dict[str, list[str]] = {}
    for response in initial:
        opponents.setdefault(response.prompt_id, []).append(response.id)
    known: dict[str, list[str]] = {}
    for view in pool.responses:
        known.setdefault(view.prompt_id, []).append(view.id)
    out: dict[str, Pair] = {}
    for response in tuned:
        old = known.get(response.prompt_id, [])
        others = [*opponents.get(response.prompt_id, []), *([old[int(rng.integers(len(old)))]] if old else [])]
        for other in others:
            if other != response.id:
                pair = make_pair(response.prompt_id, response.id, other)
                out[pair.id] = pair
    return list(out.values())
