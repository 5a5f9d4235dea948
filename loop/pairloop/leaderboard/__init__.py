"""Leaderboards of models from people's votes between their responses.

`ballots` turns votes into comparisons of models, `graph` finds what can be compared with what, `likelihood` and `fit`
are Bradley–Terry with ties and covariates by maximum likelihood, `covariance` and `ranks` say how sure it is,
`influence` what hangs on single annotators, `style` what texts look like, `legacy` holds Elo and Harkness, `board`
puts all of it together. Everything here only reads.
"""

from pairloop.leaderboard.ballots import Ballots, collect, from_rows, from_store, random_weights
from pairloop.leaderboard.board import Board, leaderboard

__all__ = ["Ballots", "Board", "collect", "from_rows", "from_store", "leaderboard", "random_weights"]
