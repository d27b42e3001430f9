"""`linegate support`: what somebody who helps needs to know of a line, in one archive without a secret."""
