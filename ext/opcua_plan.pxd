# cython: language_level=3
"""What an OPC UA plan knows, in flat arrays: the bindings of each handle, and the status codes seen so far."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from ext.opcua_values cimport WHOLE, Binding, Invalid
from ext.table cimport Kind, SignalTable

cdef enum:
    KNOWN = 256                 # places for the status codes seen so far
    MOST_HANDLES = 1 << 24

cdef enum:                      # the order of opcua.pyx's TIMES
    OF_SOURCE = 0
    OF_SERVER = 1
    OF_GATEWAY = 2

cdef struct Handle:
    int32_t first               # binding; -1: none
    bint plain                  # it has one binding, of a value as a whole, not by the caller
    uint32_t left_at            # the step in which a value of it was last left over

cdef struct Status:
    uint32_t code               # 0: a free place
    int32_t why

cdef struct Plan:
    Handle* handles
    Binding* bindings
    Invalid* invalid
    Py_ssize_t n_handles
    Py_ssize_t n_bindings
    Py_ssize_t n_invalid
    Py_ssize_t n_known
    Py_ssize_t skewed
    Py_ssize_t strange
    int64_t max_skew
    int32_t no_value            # why
    uint32_t step
    int time_of
    Status[KNOWN] known         # by hash

cdef inline Status* place_of(Plan* plan, uint32_t code) noexcept nogil:
    """Where a code is, or would be; there is always a free place."""
    cdef uint32_t i = (code * 2654435761u) >> 24
    while plan.known[i].code != code and plan.known[i].code != 0:
        i = (i + 1) & (KNOWN - 1)
    return &plan.known[i]


cdef inline void release(Plan* plan) noexcept:
    free(plan.handles)
    free(plan.bindings)
    free(plan.invalid)


cdef inline int set_part(Binding* binding, int kind, element, bits) except -1:
    """Have a binding take an element, or bits; raises ValueError where they cannot be of a signal of the kind."""
    binding.element = WHOLE
    if element is not None:
        if not 0 <= element <= 0x7FFFFFFF:
            raise ValueError(f"there is no element {element}")
        binding.element = element
    if bits is not None:
        first, last = bits
        if not 0 <= first <= last <= 63:
            raise ValueError(f"bits {first} to {last} are outside 0..63")
        if kind != Kind.UINT and not (kind == Kind.BOOL and first == last):
            raise ValueError("a bit field is for signals of kind UINT, and one bit for BOOL too")
        binding.first_bit, binding.last_bit = first, last
        binding.mask = 0xFFFFFFFFFFFFFFFFu >> (63 - (binding.last_bit - binding.first_bit))
    return 0


cdef inline int add_invalid(SignalTable table, Plan* plan, Binding* binding, list bad) except -1:
    """Have a binding know its invalid numbers; raises ValueError for an integer that no type has."""
    cdef Invalid* one
    cdef Invalid* invalid
    cdef list made = []
    if len(bad) > 65535:
        raise ValueError("a signal has at most 65535 invalid values")
    for number in bad:
        if isinstance(number, int) and not -0x8000000000000000 <= number <= 0xFFFFFFFFFFFFFFFF:
            raise ValueError(f"no integer has the value {number}")
        whole = int(number) if abs(number) <= 0xFFFFFFFFFFFFFFFF and int(number) == number else None
        made.append((float(number), whole, table.why_number(f"invalid value {number}")))
    if not made:
        return 0
    invalid = <Invalid*>realloc(plan.invalid, (plan.n_invalid + len(made)) * sizeof(Invalid))
    if invalid == NULL:
        raise MemoryError
    plan.invalid = invalid
    binding.invalid, binding.n_invalid = <int32_t>plan.n_invalid, <uint16_t>len(made)
    for number, whole, why in made:
        one = &invalid[plan.n_invalid]
        one.number, one.why, one.is_whole = number, why, whole is not None
        one.is_large = whole is not None and whole > 0x7FFFFFFFFFFFFFFF
        one.whole = <int64_t><uint64_t>(<object>((whole or 0) & 0xFFFFFFFFFFFFFFFF))
        plan.n_invalid += 1
    return 0


cdef inline int append(Plan* plan, Binding* binding) except -1:
    """Add a binding behind those that its handle has."""
    cdef Py_ssize_t i, wanted
    cdef Handle* handles
    cdef Binding* bindings = plan.bindings
    cdef int32_t* place
    if binding.handle >= plan.n_handles:
        wanted = max(<Py_ssize_t>binding.handle + 1, min(2 * plan.n_handles, <Py_ssize_t>MOST_HANDLES))
        handles = <Handle*>realloc(plan.handles, wanted * sizeof(Handle))
        if handles == NULL:
            raise MemoryError
        plan.handles = handles
        for i in range(plan.n_handles, wanted):
            handles[i] = Handle(first=-1, plain=False, left_at=0)
        plan.n_handles = wanted
    if plan.n_bindings & (plan.n_bindings - 1) == 0:        # its size is a power of two, and it is full
        bindings = <Binding*>realloc(bindings, max(2 * plan.n_bindings, 1) * sizeof(Binding))
        if bindings == NULL:
            raise MemoryError
        plan.bindings = bindings
    place = &plan.handles[binding.handle].first
    plan.handles[binding.handle].plain = place[0] < 0 and binding.element == WHOLE and not binding.by_caller
    while place[0] >= 0:
        place = &bindings[place[0]].next
    binding.next = -1
    place[0] = <int32_t>plan.n_bindings
    bindings[plan.n_bindings] = binding[0]
    plan.n_bindings += 1
    return 0
