"""EtherNet/IP for the Logix family and generic CIP objects: symbols by pycomm3, cyclic reads by `ext.cip`."""
