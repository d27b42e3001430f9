"""Trends: what is sent of signals besides states and parts, condensed and never raw."""
