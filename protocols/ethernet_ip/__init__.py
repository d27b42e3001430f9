"""EtherNet/IP for the Logix family and generic CIP objects: own sessions and upload, cyclic reads by `ext.cip`."""
