"""Store-and-forward: events, cursors and the checkpoint in one SQLite file."""
