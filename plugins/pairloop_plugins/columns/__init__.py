"""Columns of a table, or keys of JSON lines, with other names than pairloop's: mapped, known, or guessed."""
