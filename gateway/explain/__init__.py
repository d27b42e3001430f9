"""`linegate explain`: why an event says what it says, in words."""
