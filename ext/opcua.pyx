# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""OPC UA's Read and Publish responses into the signal table, from the message's bytes."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from ext.opcua_binary cimport (
    Scan,
    over,
    over_count,
    over_diagnostic_infos,
    over_extension_object,
    over_node_id,
    over_response_header,
)
from ext.opcua_plan cimport KNOWN, MOST_HANDLES, Plan, Status, add_invalid, append, place_of, release, set_part
from ext.opcua_run cimport DONE, FAILED, LEFT_OVER, NEW_STATUS, TWICE, Cursor, Stop, run
from ext.opcua_values cimport IS_ARRAY, IS_BEYOND, IS_MISMATCH, IS_NO_ARRAY, Binding
from ext.reader cimport read_u8, read_u32_le
from ext.table cimport NO_TIME, Kind, SignalTable, Slot, set_bad
from ext.text cimport UTF_8

from ext.table import DecodeError
from ext.unfit import beyond, is_array, is_no_array, mismatch, no_bits

cdef enum:
    SERVICE_FAULT = 397         # the NodeIds of the binary encodings
    READ_RESPONSE = 634
    DATA_CHANGE_NOTIFICATION = 811
    PUBLISH_RESPONSE = 829
    LONG = 1000                 # values from which on the interpreter's lock is released, as in ext.registers

cdef int64_t BEYOND_MS = 0x20000000000000LL     # times far from where their difference overflows

cdef tuple TIMES = ("source", "server", "gateway")


cdef class ValuePlan:
    """How the values of an OPC UA server go into a table, by handles that the caller gives to nodes.

    A handle is the ClientHandle of a monitored item, or stands for a node in a Read; small numbers, since
    they number an array. `bind` says into which signals a handle's value goes; `read` and `publish` decode
    the body of a response, as it is after the secure channel. Of a value whose StatusCode (Part 4, 7.39) is
    bad, nothing is taken; an uncertain one sets its signals uncertain.
    `name_of` is asked once for the symbolic name of each code, which it is given without its info bits.

    A value that a signal cannot hold exactly makes it bad, with words for both types. What is not decoded
    here (structures, NodeIds, ByteStrings, matrices, nested values) is left over: its Variant's place in
    the body is handed out, for the caller to decode and to `put` into the table.

    The time of a value is that of its source, of the server or (`gateway`) none; further than
    `max_skew_ms` from the `now_ms` of the call, UTC milliseconds, it is dropped and counted in `skewed`.
    `strange` counts values of handles that are not bound.
    """

    cdef SignalTable table
    cdef Plan plan
    cdef object name_of

    def __cinit__(self, SignalTable table not None, name_of, *, str timestamps not None="source",
                  int64_t max_skew_ms=3_600_000):
        if timestamps not in TIMES:
            raise ValueError(f"{timestamps} is none of {', '.join(TIMES)}")
        if not 0 <= max_skew_ms < BEYOND_MS:
            raise ValueError(f"a skew of {max_skew_ms} ms is out of range")
        self.table = table
        self.name_of = name_of
        self.plan.time_of = TIMES.index(timestamps)
        self.plan.max_skew = max_skew_ms
        self.plan.no_value = table.why_number("no value")

    def __dealloc__(self):
        release(&self.plan)

    def bind(self, Py_ssize_t handle, Py_ssize_t signal, *, double scale=1.0, double offset=0.0, element=None,
             bits=None, invalid=(), bint by_caller=False):
        """Have a handle's values go into a signal, whose kind the table knows already.

        `element` picks one of a one-dimensional array; `bits` (first, last), counted from the least
        significant, a field of an integer, for an unsigned signal or, if it is one bit, a bool. `scale` and
        `offset` are for signals of kind FLOAT. `invalid` are raw numbers, before scaling, that mean bad; of
        integers also their bit patterns. A signal `by_caller` is only set bad here: a value with a better
        status is left over. Raises ValueError for what cannot be, and then binds nothing.
        """
        self.table.check(signal)
        cdef Slot* slot = &self.table.slots[signal]
        cdef Binding binding
        memset(&binding, 0, sizeof(Binding))
        if not 0 <= handle < MOST_HANDLES:
            raise ValueError(f"handle {handle} is outside 0..{MOST_HANDLES - 1}")
        if slot.kind == Kind.NONE:
            raise ValueError(f"signal {self.table.names[signal]} has no kind yet")
        if slot.kind == Kind.TEXT and slot.encoding != UTF_8:
            raise ValueError("the texts of OPC UA are UTF-8")
        binding.scaled = scale != 1.0 or offset != 0.0
        if binding.scaled and slot.kind != Kind.FLOAT:
            raise ValueError("a scale or offset is for signals of kind FLOAT")
        set_part(&binding, slot.kind, element, bits)
        bad = list(invalid)
        if bad and (slot.kind == Kind.TEXT or (slot.kind == Kind.BOOL and bits is None)):
            raise ValueError("a bool or a text has no raw values that could be invalid")
        add_invalid(self.table, &self.plan, &binding, bad)
        binding.scale, binding.offset, binding.by_caller = scale, offset, by_caller
        binding.signal, binding.handle = <int32_t>signal, <int32_t>handle
        append(&self.plan, &binding)

    def fail(self, str why not None, handle=None):
        """Make the signals of a handle bad, or all that are bound."""
        cdef Py_ssize_t i
        cdef int32_t number = self.table.why_number(why)
        cdef int64_t which = -1 if handle is None else handle
        self.table.version += 1
        for i in range(self.plan.n_bindings):
            if which == -1 or self.plan.bindings[i].handle == which:
                set_bad(self.table, self.plan.bindings[i].signal, number)
                self.table.slots[self.plan.bindings[i].signal].source_time = NO_TIME

    def why(self, uint32_t status):
        """A StatusCode in words, as signals have it: `BadSensorFailure (0x808C0000)`."""
        return f"{self.name_of(status & 0xFFFF0000u)} (0x{status:08X})"

    cdef int drive(self, Cursor* cursor, list left_over) except -1:
        """Decode until the values to come are done, or one must be taken first; what the loop stops for is met here."""
        cdef Stop stop
        self.table.version += 1
        while True:
            if cursor.left < LONG:
                stop = run(self.table, &self.plan, cursor)
            else:
                with nogil:
                    stop = run(self.table, &self.plan, cursor)
            if stop == DONE or stop == TWICE:
                return 0
            if stop == FAILED:
                check(&cursor.scan)
            elif stop == NEW_STATUS:
                self.learn(cursor.found.status)
            elif stop == LEFT_OVER:
                words = self.table.whys[cursor.why]
                time = None if cursor.time == NO_TIME else cursor.time
                left_over.append((cursor.handle, cursor.found.at, cursor.found.end, words, time))
            else:
                self.refuse(cursor)

    cdef int learn(self, uint32_t code) except -1:
        cdef str severity = "an uncertain" if code >> 30 == 1 else "a bad"
        cdef int32_t why = self.table.sent_why(self.why(code), f"{severity} status")
        if self.plan.n_known >= KNOWN // 2:
            memset(self.plan.known, 0, sizeof(self.plan.known))
            self.plan.n_known = 0
        place_of(&self.plan, code)[0] = Status(code=code, why=why)
        self.plan.n_known += 1
        return 0

    cdef int refuse(self, Cursor* cursor) except -1:
        """Make a signal bad whose kind or element the value does not fit."""
        cdef Binding* binding = &self.plan.bindings[cursor.unfit]
        cdef Slot* slot = &self.table.slots[binding.signal]
        cdef int32_t why
        cdef int type = cursor.found.type
        if cursor.outcome == IS_MISMATCH and binding.mask:
            why = self.table.why_number(no_bits(type, binding.first_bit, binding.last_bit))
        elif cursor.outcome == IS_MISMATCH:
            why = self.table.why_number(mismatch(type, slot.kind))
        elif cursor.outcome == IS_BEYOND:
            why = self.table.sent_why(beyond(binding.element, cursor.found.count), f"no element {binding.element}")
        elif cursor.outcome == IS_ARRAY:
            why = self.table.why_number(is_array(type))
        elif cursor.outcome == IS_NO_ARRAY:
            why = self.table.why_number(is_no_array(type, binding.element))
        else:
            why = self.table.too_long(cursor.length, slot.text_capacity)
        set_bad(self.table, binding.signal, why)
        return 0

    @property
    def skewed(self):
        """How many times were dropped."""
        return self.plan.skewed

    @property
    def strange(self):
        """How many values had a handle that is not bound."""
        return self.plan.strange

    def read(self, body not None, handles not None, int64_t now_ms, Py_ssize_t start=0):
        """Decode a ReadResponse, of which `handles` (an array of "I") gives the handle for each node asked for.

        Returns (status, left over): the ServiceResult, also of a ServiceFault, and a list of
        (handle, start, end, uncertain, source time) with a Variant's place in `body`, and the words for an
        uncertain status or None. Of a bad ServiceResult nothing is decoded. `start` is where the response's
        type begins. Raises DecodeError where the body ends early or late or cannot be what it should; what
        came before that is in the table.
        """
        cdef _Response response = _Response(self, body, now_ms, start)
        cdef Cursor* cursor = &response.cursor
        cdef Py_buffer view
        cdef uint32_t status = 0
        cdef list left_over = []
        PyObject_GetBuffer(handles, &view, PyBUF_FORMAT)
        try:
            if view.itemsize != 4 or view.format == NULL or view.format[0] != c"I":
                raise ValueError("handles must be an array of unsigned 32-bit numbers")
            if not response.open(READ_RESPONSE, "ReadResponse", &status):
                return status, left_over
            cursor.at = over_count(&cursor.scan, cursor.at, &cursor.left)
            check(&cursor.scan)
            if cursor.left != view.len // 4:
                raise DecodeError(f"{cursor.left} values where {view.len // 4} were asked for", cursor.at - 4)
            cursor.handles = <const uint8_t*>view.buf
            self.plan.step += 1
            self.drive(cursor, left_over)
            cursor.at = over_diagnostic_infos(&cursor.scan, cursor.at)
            end(cursor)
            return status, left_over
        finally:
            PyBuffer_Release(&view)

    def publish(self, body not None, int64_t now_ms, Py_ssize_t start=0):
        """What a PublishResponse says around its values, which `Publication.decode` then takes into the table.

        Raises DecodeError as `read` does.
        """
        return Publication(_Response(self, body, now_ms, start))


cdef int check(Scan* scan) except -1:
    """Raise what is wrong with a message so far."""
    if scan.reader.failed_at >= 0:
        raise DecodeError("the message ends" if scan.wrong == NULL else scan.wrong.decode(), scan.reader.failed_at)
    return 0


cdef int end(Cursor* cursor) except -1:
    """Raise if a message, or a part of one, is not at its end."""
    check(&cursor.scan)
    if cursor.at != cursor.scan.reader.length:
        raise DecodeError("the message goes on behind its end", cursor.at)
    return 0


cdef class _Response:
    """The body of one response, held while it is decoded."""

    cdef ValuePlan plan
    cdef Py_buffer view
    cdef Cursor cursor

    def __cinit__(self, ValuePlan plan not None, body, int64_t now_ms, Py_ssize_t start):
        PyObject_GetBuffer(body, &self.view, PyBUF_SIMPLE)
        if not 0 <= start <= self.view.len or not 0 <= now_ms < BEYOND_MS:
            raise ValueError(f"start {start} or time {now_ms} is out of range")
        self.plan = plan
        self.cursor.scan.reader.data = <const uint8_t*>self.view.buf
        self.cursor.scan.reader.length = self.view.len
        self.cursor.scan.reader.failed_at = -1
        self.cursor.at = start
        self.cursor.now = now_ms

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef bint open(self, uint32_t type, str name, uint32_t* status) except -1:
        """Read the header; whether what follows it is to be decoded."""
        cdef Cursor* cursor = &self.cursor
        cdef Py_ssize_t start = cursor.at
        cdef uint32_t number
        cursor.at = over_node_id(&cursor.scan, cursor.at, &number)
        check(&cursor.scan)
        if number != type and number != SERVICE_FAULT:
            raise DecodeError(f"a message of type i={number} where a {name} was asked for", start)
        cursor.at = over_response_header(&cursor.scan, cursor.at, status)
        check(&cursor.scan)
        if number == SERVICE_FAULT and not status[0] >> 31:
            raise DecodeError("a ServiceFault without a bad ServiceResult", start)
        return not status[0] >> 31


cdef class Publication:
    """One PublishResponse (Part 4, 5.14.5): `decode` takes its values into the table, in one or more steps.

    `status` is the ServiceResult, also of a ServiceFault; where it is bad, all else is empty. `results` are
    the StatusCodes of the acknowledgements. `others` are the notifications that are no values, as
    (type, start, end): the NodeId's number of its encoding (916 EventNotificationList, 820
    StatusChangeNotification; 0 if it is not of OPC UA's namespace) and the place of its body. A keep-alive
    has no notifications, and as sequence number that of the next message.
    """

    cdef _Response response
    cdef Py_ssize_t parts_at    # the notifications that were not looked at by `decode`
    cdef Py_ssize_t parts_left
    cdef Py_ssize_t message_end
    cdef bint in_part
    cdef readonly uint32_t status
    cdef readonly uint32_t subscription_id
    cdef readonly uint32_t sequence_number
    cdef readonly bint more_notifications
    cdef readonly bint keep_alive
    cdef readonly list available
    cdef readonly list results
    cdef readonly list others

    def __cinit__(self, _Response response not None):
        cdef Cursor* cursor = &response.cursor
        self.response = response
        self.available, self.results, self.others = [], [], []
        self.keep_alive = True
        self.message_end = cursor.scan.reader.length
        if not response.open(PUBLISH_RESPONSE, "PublishResponse", &self.status):
            return
        self.subscription_id = read_u32_le(&cursor.scan.reader, cursor.at)
        cursor.at = over(&cursor.scan, cursor.at, 4)
        self.numbers(self.available)
        self.more_notifications = read_u8(&cursor.scan.reader, cursor.at) != 0
        cursor.at = over(&cursor.scan, cursor.at, 1)
        self.sequence_number = read_u32_le(&cursor.scan.reader, cursor.at)
        cursor.at = over_count(&cursor.scan, over(&cursor.scan, cursor.at, 12), &self.parts_left)
        check(&cursor.scan)
        self.parts_at = cursor.at
        self.keep_alive = self.parts_left == 0
        self.look()
        self.numbers(self.results)
        cursor.at = over_diagnostic_infos(&cursor.scan, cursor.at)
        end(cursor)

    cdef int numbers(self, list target) except -1:
        cdef Cursor* cursor = &self.response.cursor
        cdef Py_ssize_t count, i
        cdef Py_ssize_t first = over_count(&cursor.scan, cursor.at, &count)
        cursor.at = over(&cursor.scan, first, count * 4)
        check(&cursor.scan)
        for i in range(count):
            target.append(read_u32_le(&cursor.scan.reader, first + 4 * i))
        return 0

    cdef int look(self) except -1:
        """Find the notifications' ends, and those that are no values."""
        cdef Cursor* cursor = &self.response.cursor
        cdef uint32_t number
        cdef Py_ssize_t body, i
        for i in range(self.parts_left):
            cursor.at = over_extension_object(&cursor.scan, cursor.at, &number, &body)
            check(&cursor.scan)
            if number != DATA_CHANGE_NOTIFICATION:
                self.others.append((number, body, cursor.at))
        return 0

    def decode(self):
        """Take values into the table, and return what is left over, as `ValuePlan.read` does.

        Stops before a value for a signal with every change (`SignalTable.forward`, `exact`) that has a
        change which was not taken yet: put what is left over, take, and call again until `done`; no value
        that a queue brought is then lost. Raises DecodeError where a notification is not what it should be;
        what came before that is in the table.
        """
        cdef Cursor* cursor = &self.response.cursor
        cdef list left_over = []
        cursor.must = self.in_part
        self.response.plan.plan.step += 1
        while self.in_part or self.next_part():
            self.response.plan.drive(cursor, left_over)
            if cursor.left:
                break
            cursor.at = over_diagnostic_infos(&cursor.scan, cursor.at)
            end(cursor)
            self.in_part = False
        return left_over

    cdef bint next_part(self) except -1:
        """Go to the next notification of values; whether there is one."""
        cdef Cursor* cursor = &self.response.cursor
        cdef uint32_t number
        cdef Py_ssize_t body
        while self.parts_left:
            cursor.scan.reader.length = self.message_end
            self.parts_at = over_extension_object(&cursor.scan, self.parts_at, &number, &body)
            self.parts_left -= 1
            if number == DATA_CHANGE_NOTIFICATION:
                cursor.scan.reader.length = self.parts_at
                cursor.at = over_count(&cursor.scan, body, &cursor.left)
                self.in_part = True
                return True
        return False

    @property
    def done(self):
        """Whether all values were taken."""
        return not self.in_part and self.parts_left == 0

    @property
    def values(self):
        """How many were taken or left over."""
        return self.response.cursor.values

    @property
    def overflows(self):
        """How many of those say that the server's queue dropped some before."""
        return self.response.cursor.overflows
