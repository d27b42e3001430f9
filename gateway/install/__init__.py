"""`linegate install-service`: the unit, a line's drop-in and configuration, put in place and taken away."""
