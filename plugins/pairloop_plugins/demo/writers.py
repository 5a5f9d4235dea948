"""Six writers who answer at the help desk, each good or bad in a way of their own.

The dice use nothing but ``random.Random.random``, whose numbers Python promises to keep for a given seed.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from pairloop_plugins.demo.written import Topic, phrases, topics

T = TypeVar("T")


class Dice:
    """Seeded choices."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self._random.random() < p

    def pick(self, items: Sequence[T]) -> T:
        """One item."""
        return items[int(self._random.random() * len(items))]

    def some(self, items: Sequence[T], n: int) -> list[T]:
        """``n`` different items in random order, or all of them if there are fewer."""
        order = sorted(range(len(items)), key=[self._random.random() for _ in items].__getitem__)
        return [items[i] for i in order[:n]]

    def leading(self, items: Sequence[T]) -> T:
        """The first item half of the time: a tiny language model needs to hear the important things often."""
        return items[0] if self.chance(0.5) else self.pick(items)

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self._random.random() * (high - low + 1))


Writer = Callable[[Topic, Dice], str]


def _say(kind: str, topic: Topic, dice: Dice, n: int = 1) -> list[str]:
    return [line.format(thing=topic.thing) for line in dice.some(phrases()[kind], n)]


def _cut_short(text: str, dice: Dice) -> str:
    words = text.split()
    return " ".join(words[: max(3, len(words) - dice.between(2, len(words) // 2))]).rstrip(".,")


def careful(topic: Topic, dice: Dice) -> str:
    """Polite, to the point, with a fact and mostly a next step."""
    style = dice.between(1, 10)
    facts = dice.some(topic.facts, 2) if style == 1 else [dice.leading(topic.facts)]
    opening = _say("open", topic, dice) if style <= 7 else []
    step = [dice.leading(topic.steps)] if style != 2 else []
    closing = _say("soft", topic, dice) if style > 7 or dice.chance(0.45) else []
    return " ".join(opening + facts + step + closing)


def hasty(topic: Topic, dice: Dice) -> str:
    """Mostly right, but curt, bare or broken off."""
    style = dice.between(1, 10)
    if style <= 3:
        return " ".join(dice.some(topic.curt, dice.between(1, 2)))
    if style <= 5:
        return dice.leading(topic.facts)
    if style <= 7:
        return " ".join([dice.leading(topic.facts), _cut_short(dice.leading(topic.steps), dice)])
    if style == 8:
        return _cut_short(dice.leading(topic.facts), dice)
    if style == 9:
        return " ".join([*_say("open", topic, dice), dice.pick(topic.curt)])
    return " ".join([dice.leading(topic.facts), dice.leading(topic.steps)])


def vague(topic: Topic, dice: Dice) -> str:
    """Polite words around no information, or around empty promises."""
    opening = _say("open", topic, dice) if dice.chance(0.6) else []
    kind = "promise" if dice.chance(0.4) else "vague"
    body = _say(kind, topic, dice, dice.between(1, 2)) + (list(topic.vague) if dice.chance(0.5) else [])
    step = [dice.leading(topic.steps)] if dice.chance(0.15) else []
    closing = _say("soft", topic, dice) if dice.chance(0.5) else []
    return " ".join(opening + dice.some(body, len(body)) + step + closing)


def lost(topic: Topic, dice: Dice) -> str:
    """Friendly and concrete, about something else."""
    other = dice.pick([item for item in topics() if item.name != topic.name])
    opening = _say("open", other if dice.chance(0.7) else topic, dice) if dice.chance(0.6) else []
    body = dice.some(other.facts, dice.between(1, 2)) + (dice.some(other.steps, 1) if dice.chance(0.6) else [])
    closing = _say("soft", topic, dice) if dice.chance(0.5) else []
    return " ".join(opening + body + closing)


def rambling(topic: Topic, dice: Dice) -> str:
    """Long, winding and repetitive; the answer may be hidden in it."""
    body = _say("ramble", topic, dice, dice.between(1, 3))
    if dice.chance(0.65):
        body.append(dice.leading(topic.facts))
    if dice.chance(0.3):
        body.append(dice.leading(topic.steps))
    body = dice.some(body, len(body))
    if dice.chance(0.55):
        body.append(dice.pick(body))
    return " ".join((_say("open", topic, dice) if dice.chance(0.4) else []) + body)


def grumpy(topic: Topic, dice: Dice) -> str:
    """Rude, sometimes shouting, sometimes right all the same."""
    rude = list(topic.rude) + _say("rude", topic, dice, dice.between(1, 2))
    rude = dice.some(rude, dice.between(1, len(rude)))
    style = dice.between(1, 10)
    if style <= 2:
        return " ".join([*_say("shout", topic, dice), dice.leading(topic.facts), *_say("shout", topic, dice)])
    if style == 3:
        return " ".join(_say("shout", topic, dice) + rude[:1])
    if style <= 7:
        return " ".join([*rude, dice.leading(topic.facts), *dice.some(topic.steps, dice.between(0, 1))])
    return " ".join(rude + dice.some(topic.curt, dice.between(0, 1)))


def unclear(name: str, dice: Dice) -> str:
    """What each writer says to a question that nobody can understand."""
    topic = dice.pick(topics())
    if name == "writer-careful":
        asking = _say("unclear", topic, dice)
        return " ".join(["I am sorry.", *asking] if dice.chance(0.5) else [*asking, "Thank you."])
    if name == "writer-hasty":
        return " ".join(_say("unclear-curt", topic, dice, dice.between(1, 2)))
    return WRITERS[name](topic, dice)


WRITERS: dict[str, Writer] = {
    "writer-careful": careful,
    "writer-hasty": hasty,
    "writer-vague": vague,
    "writer-lost": lost,
    "writer-rambling": rambling,
    "writer-grumpy": grumpy,
}
