"""Small tools that every package of pairloop may import: files, ids, seeds, failpoints, text, options."""
