"""What plugin authors test with.

Contract classes to inherit: `pairloop.testing.backends`, `strategies`, `reward_models`, `tuners`. A whole campaign of
toys that runs in a fraction of a second: `campaigns` (with `toy_source`, `remote`, `toy_reward`, `toy_tuner`).
Contexts and posteriors without a model: `fakes`. Crashing and failing on purpose: `failpoints`.
"""
