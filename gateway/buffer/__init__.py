"""What `linegate buffer` can see and do, in the daemon or beside a buffer that no daemon has."""
