"""Events into files on this machine or a share."""
