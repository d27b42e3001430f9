"""`linegate backup` and `linegate restore`: one line's state in one archive, and on another machine."""
