"""`linegate receive`: the reference consumer, for commissioning and to be copied (`follower.py` stands alone)."""
