"""The steps of a round, one file each: plan (pure) → effect (idempotent) → one commit."""
