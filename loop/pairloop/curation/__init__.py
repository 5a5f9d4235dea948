"""Looking for useless and damaged texts when data is read: reported, and removed where the configuration says so."""

from pairloop.curation.apply import Curated, Finding, curate
from pairloop.curation.overlap import EvaluationTexts

__all__ = ["Curated", "EvaluationTexts", "Finding", "curate"]
