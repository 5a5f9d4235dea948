"""Model judges beside people: asking and caching, what their answers say to the reward model, how far they are trusted.

Nothing in here counts a judge as a person: see ``docs/judge.md``.
"""
