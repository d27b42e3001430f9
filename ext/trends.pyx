# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What trends compute at every sample: the sums of a window, and the doors of a swinging door."""


cdef inline bint is_number(value):
    return type(value) is float or type(value) is int


cdef class Sums:
    """What a window has so far. Times are milliseconds; values keep their type, and a text or truth has no extremes."""

    cdef readonly long long began
    cdef readonly long long n
    cdef readonly long long known_ms
    cdef readonly double weighted
    cdef readonly object low
    cdef readonly object high
    cdef readonly object first
    cdef readonly object last

    def __init__(self, began, n=0, known_ms=0, weighted=0.0, low=None, high=None, first=None, last=None):
        self.began, self.n, self.known_ms, self.weighted = began, n, known_ms, weighted
        self.low, self.high, self.first, self.last = low, high, first, last

    cpdef void take(self, value):
        """A value that is in the window."""
        if self.first is None:
            self.first = value
        self.last = value
        if not is_number(value):
            return
        if self.low is None:
            self.low = self.high = value
        elif value < self.low:
            self.low = value
        elif value > self.high:
            self.high = value

    cpdef void hold(self, value, long long milliseconds, long long scans):
        """A value held for so long, over so many scans."""
        self.n += scans
        self.known_ms += milliseconds
        if is_number(value):
            self.weighted += value * milliseconds

    def saved(self):
        """Plain values, in the order in which they are given to make it again."""
        return [self.began, self.n, self.known_ms, self.weighted, self.low, self.high, self.first, self.last]


cdef class Doors:
    """Between which slopes from the hinge a straight line stays near all samples since; a millisecond."""

    cdef bint is_open
    cdef double lowest
    cdef double highest

    def __init__(self, steepest=None, flattest=None):
        self.is_open = steepest is None or flattest is None
        if not self.is_open:
            self.highest, self.lowest = steepest, flattest

    @property
    def steepest(self):
        """The largest slope; None before there is a sample."""
        return None if self.is_open else self.highest

    @property
    def flattest(self):
        """The smallest slope; None before there is a sample."""
        return None if self.is_open else self.lowest

    cpdef bint passes(self, double rise, double deviation, double span) except -1:
        """Whether the line to a sample `rise` above the hinge and `span` behind it stays near all; narrows them if so."""
        cdef double slope = rise / span
        if not self.is_open and not self.lowest <= slope <= self.highest:
            return False
        cdef double up = (rise + deviation) / span
        cdef double down = (rise - deviation) / span
        if self.is_open:
            self.highest, self.lowest, self.is_open = up, down, False
            return True
        if up < self.highest:
            self.highest = up
        if down > self.lowest:
            self.lowest = down
        return True
