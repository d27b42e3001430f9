# cython: language_level=3
"""The loop that takes DataValues out of a message and sets their signals; it stops where Python objects are needed."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ext.opcua_binary cimport SIZES, UA_DOUBLE, UA_NULL, Found, Scan, find_data_value
from ext.opcua_plan cimport OF_GATEWAY, OF_SERVER, OF_SOURCE, Handle, Plan, Status, place_of
from ext.opcua_values cimport IS_SET, UNIX_EPOCH, Binding, Outcome, is_native, set_found, set_number
from ext.reader cimport Reader, could_read, peek_u8, peek_u32_le, peek_u64_le, read_u32_le
from ext.table cimport BAD, EVERYTHING, GOOD, NO_TIME, UNCERTAIN, WHY_NOTHING, SignalTable, Slot, set_bad

cdef enum:
    PLAIN_SIZE = 4 + 2 + 8 + 4 + 8 + 8      # bytes that a plain value has at most

cdef enum Stop:                 # why the loop stops
    DONE
    FAILED
    NEW_STATUS                  # a code whose words are not known yet
    UNFIT                       # the value does not fit the signal, which is to be made bad with words for both
    LEFT_OVER                   # a value that is for the caller
    TWICE                       # a signal's next value, while its last was not taken

cdef struct Cursor:
    Scan scan
    Py_ssize_t at
    Py_ssize_t left             # values to come
    const uint8_t* handles      # of the values of a Read; NULL: each value brings its own
    int64_t now
    bint must                   # take the next value, whatever was not taken before
    Py_ssize_t values
    Py_ssize_t overflows
    # and of the value at `at`, once its status is known:
    bint pending
    bint is_left_over
    Found found
    Py_ssize_t next             # where the value behind it begins
    Py_ssize_t length           # of the text that did not fit
    int64_t time
    uint32_t handle
    int32_t binding             # the next to be set; -1: none
    int32_t unfit               # the last that was set
    int32_t why
    uint8_t quality
    Outcome outcome


cdef inline int64_t time_of(Plan* plan, int64_t now, uint64_t ticks) noexcept nogil:
    """A time in UTC ms; NO_TIME for none, or one that cannot be."""
    cdef int64_t time = <int64_t>(ticks // 10000) - UNIX_EPOCH // 10000
    if ticks == 0:
        return NO_TIME
    if -plan.max_skew <= time - now <= plan.max_skew:
        return time
    plan.skewed += 1
    return NO_TIME


cdef inline bint would_lose(SignalTable table, const Plan* plan, const Handle* handle) noexcept nogil:
    """Whether a signal of which every change counts has one that nobody took yet."""
    cdef int32_t binding = handle.first
    cdef Slot* slot
    while binding >= 0:
        slot = &table.slots[plan.bindings[binding].signal]
        if slot.passing == EVERYTHING and (slot.dirty or handle.left_at == plan.step):
            return True
        binding = plan.bindings[binding].next
    return False


cdef inline Stop begin(SignalTable table, Plan* plan, Cursor* cursor) noexcept nogil:
    """Look at the value at the cursor, of which nothing is set or counted until all of it can be."""
    cdef Found* found = &cursor.found
    cdef Py_ssize_t at = cursor.at
    cdef Status* status
    if cursor.handles == NULL:
        cursor.handle = read_u32_le(&cursor.scan.reader, at)
        at += 4
    else:
        memcpy(&cursor.handle, cursor.handles, 4)
    cursor.next = find_data_value(&cursor.scan, at, found, 0)
    if cursor.next < 0:
        return FAILED
    cursor.quality, cursor.why = GOOD, WHY_NOTHING
    if found.status >> 30:
        status = place_of(plan, found.status)
        if status.code == 0:
            return NEW_STATUS
        cursor.quality, cursor.why = UNCERTAIN if found.status >> 30 == 1 else BAD, status.why
    if cursor.handle >= plan.n_handles or plan.handles[cursor.handle].first < 0:
        plan.strange += 1
        cursor.binding = -1
        cursor.is_left_over = False
    else:
        if cursor.handles == NULL and not cursor.must and would_lose(table, plan, &plan.handles[cursor.handle]):
            return TWICE
        cursor.binding = plan.handles[cursor.handle].first
        if cursor.quality != BAD and (found.at < 0 or found.type == UA_NULL):
            cursor.why = plan.no_value if cursor.quality == GOOD else cursor.why
            cursor.quality = BAD
        cursor.is_left_over = cursor.quality != BAD and not is_native(found)
        cursor.time = NO_TIME
        if plan.time_of == OF_SOURCE:
            cursor.time = time_of(plan, cursor.now, found.source_ticks)
        elif plan.time_of == OF_SERVER:
            cursor.time = time_of(plan, cursor.now, found.server_ticks)
        cursor.values += 1
        cursor.overflows += found.status & 0xC80 == 0x480   # InfoType DataValue (Part 4, 7.39.1), Overflow
    cursor.must = False
    cursor.pending = True
    return DONE


cdef inline bint take_plain(SignalTable table, Plan* plan, Cursor* cursor) noexcept nogil:
    """Take the value at the cursor if it is the plain case, as nearly all are: a good number for one signal.

    All that it does is what `begin` and `run` would do, which see to every other value.
    """
    cdef const Reader* reader = &cursor.scan.reader
    cdef const Handle* known
    cdef const Binding* binding
    cdef Slot* slot
    cdef Py_ssize_t at = cursor.at
    cdef uint32_t handle
    cdef uint64_t raw
    cdef uint64_t ticks = 0
    cdef uint8_t mask, type
    if not could_read(reader, at, PLAIN_SIZE):
        return False
    if cursor.handles == NULL:
        handle = peek_u32_le(reader, at)
        at += 4
    else:
        memcpy(&handle, cursor.handles, 4)
    if handle >= plan.n_handles or not plan.handles[handle].plain:
        return False
    known = &plan.handles[handle]
    binding = &plan.bindings[known.first]
    slot = &table.slots[binding.signal]
    mask, type = peek_u8(reader, at), peek_u8(reader, at + 1)
    if mask & 0xF1 != 0x01 or type > UA_DOUBLE or type == UA_NULL:
        return False
    raw = peek_u64_le(reader, at + 2)
    at += 2 + SIZES[type]
    if mask & 0x02:
        if peek_u32_le(reader, at) != 0:
            return False
        at += 4
    if mask & 0x04:
        ticks = peek_u64_le(reader, at)
        at += 8
    if mask & 0x08:
        if plan.time_of == OF_SERVER:
            ticks = peek_u64_le(reader, at)
        at += 8
    elif plan.time_of == OF_SERVER:
        ticks = 0
    if slot.passing == EVERYTHING and cursor.handles == NULL and (slot.dirty or known.left_at == plan.step):
        return False
    if set_number(table, binding, plan.invalid, type, raw, GOOD, WHY_NOTHING) != IS_SET:
        return False
    slot.source_time = NO_TIME if plan.time_of == OF_GATEWAY else time_of(plan, cursor.now, ticks)
    cursor.at = at
    return True


cdef inline Stop run(SignalTable table, Plan* plan, Cursor* cursor) noexcept nogil:
    """Take the values to come; once told to, it goes on where it stopped."""
    cdef Stop stop
    cdef Binding* binding
    while cursor.left:
        if not cursor.pending:
            if not cursor.must and take_plain(table, plan, cursor):
                cursor.values += 1
                cursor.left -= 1
                if cursor.handles != NULL:
                    cursor.handles += 4
                continue
            stop = begin(table, plan, cursor)
            if stop != DONE:
                return stop
        while cursor.binding >= 0:
            binding = &plan.bindings[cursor.binding]
            cursor.unfit = cursor.binding
            cursor.binding = binding.next
            table.slots[binding.signal].source_time = cursor.time
            if cursor.quality == BAD:
                set_bad(table, binding.signal, cursor.why)
            elif binding.by_caller:
                cursor.is_left_over = True
            elif is_native(&cursor.found):
                cursor.outcome = set_found(table, binding, plan.invalid, &cursor.scan, &cursor.found, cursor.quality,
                                           cursor.why, &cursor.length)
                if cursor.outcome != IS_SET:
                    return UNFIT
        cursor.pending = False
        cursor.at = cursor.next
        cursor.left -= 1
        if cursor.handles != NULL:
            cursor.handles += 4
        if cursor.is_left_over:
            plan.handles[cursor.handle].left_at = plan.step
            return LEFT_OVER
    return DONE
