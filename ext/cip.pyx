# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Replies of CIP read services into the signal table, by plans compiled at connect into flat arrays."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from ext.cip cimport (
    CHUNK, OP_ANY, OP_DOUBLE, OP_SIGNED, OP_SINGLE, OP_TEXT, OP_UNSIGNED, Chunk, Entry, Invalid,
    describe_number, describe_text, is_framed_alike, lay_out, run, run_changed,
)
from ext.cip_reply cimport (
    ATTRIBUTE_SIZE, FOR_ATTRIBUTE, FOR_EDITION, FOR_TAG, NO_FAULT, OTHER_EDITION, OTHER_HANDLE, OTHER_LENGTH,
    OTHER_TYPE, PARTIAL_TRANSFER, READ_TAG_FRAGMENTED, REFUSED, STRUCTURE, SUCCESS, Asks, Finding, Service,
    examine_head, examine_packet, examine_service, examine_type, extended_status, found, is_padded,
)
from ext.reader cimport Reader, read_bytes, read_u8
from ext.table cimport Kind, SignalTable, Slot, set_bad
from ext.text cimport LATIN_1

from ext.invalid import patterns, words
from ext.table import DecodeError

cpdef enum Packing:
    SINGLE = 0
    MULTIPLE = 1
    FRAGMENTS = 2

PACKET = -1
WRONG_SIZE = ATTRIBUTE_SIZE

cdef enum:
    MOST_SERVICES = 0x7FFF
    MOST_BYTES = 0x1000000

cdef tuple FAULTS = (           # the order of cip_reply.pxd's Fault
    "", "the reply ends within the head of service {service}", "the reply ends within the status of service {service}",
    "the reply ends within its table of offsets", "the reply ends within the type of service {service}",
    "the reply ends within the text of service {service}",
    "service {service} is answered by {told:#04x}, {wanted:#04x} was expected",
    "the reply holds {told} services, {wanted} were asked for", "the first service begins at {told}, not at {wanted}",
    "service {service} ends at {told}, where it cannot", "service {service} brings {told} bytes, not {wanted}",
    "service {service} brings type {told:#06x}, {wanted:#06x} was planned",
    "service {service} brings structure {told:#06x}, {wanted:#06x} was planned",
    "service {service} brings another edition of the controller's project than was planned for",
)

# type: (operation, bytes, kind)
cdef dict TYPES = {
    "bool": (OP_ANY, 1, Kind.BOOL),
    "int8": (OP_SIGNED, 1, Kind.INT), "uint8": (OP_UNSIGNED, 1, Kind.UINT),
    "int16": (OP_SIGNED, 2, Kind.INT), "uint16": (OP_UNSIGNED, 2, Kind.UINT),
    "int32": (OP_SIGNED, 4, Kind.INT), "uint32": (OP_UNSIGNED, 4, Kind.UINT),
    "int64": (OP_SIGNED, 8, Kind.INT), "uint64": (OP_UNSIGNED, 8, Kind.UINT),
    "float32": (OP_SINGLE, 4, Kind.FLOAT), "float64": (OP_DOUBLE, 8, Kind.FLOAT),
}


class TypeChanged(DecodeError):
    """A reply of another type, length or edition than the plan's, as after a download; `service` is its number."""

    def __init__(self, message, offset, service):
        super().__init__(message, offset)
        self.service = service


cdef class CipPlan:
    """How the reply to one packet fills a table: one service, several in one packet, or one in fragments.

    Services are planned in the order of the request by `tag`, `structure` and `attribute`, and the
    signals in each by `add`. `decode` believes a reply whole or not at all: everything that is no data
    is checked before the first signal is set. What a device sends again unchanged is compared and not
    decoded.
    """

    cdef SignalTable table
    cdef Service* services
    cdef Entry* entries
    cdef Invalid* invalid
    cdef Chunk* chunks          # the last reply
    cdef uint8_t* fragments
    cdef set planned            # signals
    cdef bytes expected         # of the edition
    cdef tuple refused          # services that the last reply refused
    cdef uint64_t version       # the table's when the last reply was decoded; 0: never, or no longer
    cdef uint32_t number
    cdef Py_ssize_t length      # of the last reply
    cdef Py_ssize_t n_services
    cdef Py_ssize_t n
    cdef Py_ssize_t n_ordered   # of the entries
    cdef Py_ssize_t n_invalid
    cdef Py_ssize_t capacity
    cdef readonly int packing
    cdef readonly Py_ssize_t received

    def __cinit__(self, SignalTable table not None, int packing=SINGLE):
        if not SINGLE <= packing <= FRAGMENTS:
            raise ValueError(f"{packing} is no way to pack services")
        self.table = table
        self.packing = packing
        self.planned = set()
        self.refused = ()
        table.n_plans += 1
        self.number = table.n_plans

    def __dealloc__(self):
        free(self.services)
        free(self.entries)
        free(self.invalid)
        free(self.chunks)
        free(self.fragments)

    def tag(self, int type, Py_ssize_t size):
        """Plan a Read Tag of an elementary type (its code) that brings `size` bytes. Returns the service's number."""
        if not 0 <= type <= 0xFFFF or type == STRUCTURE:
            raise ValueError(f"{type} is no code of an elementary type")
        return self.plan_service(self.check_size(size), <uint16_t>type, 0, 0)

    def structure(self, int handle, Py_ssize_t size):
        """Plan a Read Tag of a structure with this handle, or several of it, of `size` bytes in all."""
        if not 0 <= handle <= 0xFFFF:
            raise ValueError(f"{handle} is no handle of a structure")
        return self.plan_service(self.check_size(size), STRUCTURE, <uint16_t>handle, 0)

    def attribute(self, Py_ssize_t size=0, *, int prefix=0):
        """Plan a Get_Attribute_Single of `size` bytes, or of a text after a `prefix` of 1 or 2 that says its length."""
        if prefix not in (0, 1, 2) or (prefix and size) or self.packing == FRAGMENTS:
            raise ValueError("an attribute has a size or a prefix of 1 or 2 bytes, and comes whole")
        size = (1 << 8 * prefix) - 1 + prefix if prefix else size
        return self.plan_service(self.check_size(size), 0, 0, <uint8_t>prefix, FOR_ATTRIBUTE)

    def edition(self, bytes expected not None):
        """Plan a Get_Attribute_List that must bring these bytes: otherwise, or refused, the packet is not believed."""
        if self.expected is not None or self.packing == FRAGMENTS:
            raise ValueError("a packet of whole services tells the edition once")
        number = self.plan_service(self.check_size(len(expected)), 0, 0, 0, FOR_EDITION)
        self.expected = expected
        self.services[number].edition = <const uint8_t*><char*>expected
        return number

    cdef int32_t check_size(self, Py_ssize_t size) except -1:
        if not 0 < size < MOST_BYTES:
            raise ValueError(f"a service cannot bring {size} bytes")
        return <int32_t>size

    cdef int plan_service(
        self, int32_t size, uint16_t type, uint16_t handle, uint8_t prefix, Asks asks=FOR_TAG
    ) except -1:
        if self.n_services == (MOST_SERVICES if self.packing == MULTIPLE else 1):
            raise ValueError("the packet has no place for another service")
        cdef Service* services = <Service*>realloc(self.services, (self.n_services + 1) * sizeof(Service))
        if services == NULL:
            raise MemoryError
        self.services = services
        if self.packing == FRAGMENTS:
            self.fragments = <uint8_t*>calloc(size, 1)
            if self.fragments == NULL:
                raise MemoryError
        services[self.n_services] = Service(edition=NULL, size=size, place=-1, length=0, status=SUCCESS, extended=0, type=type,
                                            handle=handle, prefix=prefix, asks=asks)
        self.n_services += 1
        self.version = 0
        return <int>(self.n_services - 1)

    def add(self, Py_ssize_t signal, Py_ssize_t service, Py_ssize_t at, str type not None, *, int bit=0, int width=0,
            uint64_t any_of=0, double scale=1.0, double offset=0.0, Py_ssize_t capacity=0, int prefix=4,
            int skip=4, Py_ssize_t most=250, invalid=()):
        """Plan one signal at byte `at` of a service's data, and define its kind in the table where it has another.

        `type` is a name of protocols.types.WireType, little-endian. A bool is true where its byte is not 0,
        or, of the whole number `type`, where any bit of `any_of` is set. `width` makes a bit field of a whole
        number: so many bits from `bit` up, as an unsigned number; 0 is no field. A string is a length of
        `prefix` bytes and, `skip` bytes after where that begins, at most `capacity` bytes of Latin-1;
        one of more than either is bad. `invalid` are raw values, before scaling, that mean
        bad (see ext.invalid.patterns). Raises ValueError for what cannot be, and then plans nothing.
        """
        self.table.check(signal)
        if not 0 <= service < self.n_services:
            raise ValueError(f"the plan has no service {service}")
        if signal in self.planned:
            raise ValueError(f"signal {self.table.names[signal]} is planned already")
        cdef Entry entry
        memset(&entry, 0, sizeof(Entry))
        entry.signal, entry.service, entry.at = <int32_t>signal, <int32_t>service, <int32_t>at
        entry.scale, entry.offset, entry.scaled = scale, offset, scale != 1.0 or offset != 0.0
        if type == "string":
            kind = describe_text(&entry, capacity, prefix, skip, most)
            entry.why = self.table.why_number(f"a text of more bytes than length allows, {most}")
            entry.beyond = self.table.why_number(f"a text that claims more bytes than the {capacity} there are")
        elif type in TYPES:
            op, octets, kind = TYPES[type]
            kind = describe_number(&entry, op, octets, kind, bit, width, any_of)
        else:
            raise ValueError(f"{type} is no type of CIP data")
        if kind in (Kind.BOOL, Kind.TEXT) and entry.scaled:
            raise ValueError("only numbers have a scale and an offset")
        size = entry.skip + entry.capacity if type == "string" else entry.size
        if at < 0 or at > self.services[service].size - size:
            raise ValueError(f"a {type} at byte {at} is outside a service of {self.services[service].size} bytes")
        bad = list(invalid)
        if bad and kind in (Kind.BOOL, Kind.TEXT):
            raise ValueError(f"a {type} has no raw values that could be invalid")
        bits = width or 8 * entry.size
        self.add_invalid(&entry, patterns("uint64" if width else type, bits, bad) if bad else [], bits)
        self.grow()
        kind = Kind.FLOAT if entry.scaled else kind
        cdef Slot* slot = &self.table.slots[signal]     # planned again, as after a refusal, it keeps its value
        if slot.kind != kind or (kind == Kind.TEXT and (slot.text_capacity < most or slot.encoding != LATIN_1)):
            self.table.define(signal, kind, length=most if kind == Kind.TEXT else 0)
        self.entries[self.n] = entry
        self.planned.add(signal)
        self.n += 1

    cdef int add_invalid(self, Entry* entry, list bad, int bits) except -1:
        if not bad:
            return 0
        if len(bad) > 65535:
            raise ValueError("a signal has at most 65535 invalid values")
        cdef Invalid* invalid = <Invalid*>realloc(self.invalid, (self.n_invalid + len(bad)) * sizeof(Invalid))
        if invalid == NULL:
            raise MemoryError
        self.invalid = invalid
        entry.invalid, entry.n_invalid = <int32_t>self.n_invalid, <uint16_t>len(bad)
        for pattern in bad:
            invalid[self.n_invalid] = Invalid(pattern=pattern, why=self.table.why_number(words(pattern, bits)))
            self.n_invalid += 1
        return 0

    cdef int grow(self) except -1:
        if self.n < self.capacity:
            return 0
        cdef Py_ssize_t capacity = max(16, 2 * self.capacity)
        cdef Entry* entries = <Entry*>realloc(self.entries, capacity * sizeof(Entry))
        if entries == NULL:
            raise MemoryError
        self.entries, self.capacity = entries, capacity
        return 0

    def decode(self, reply not None, Py_ssize_t start=0, Py_ssize_t size=-1):
        """Decode a message router reply into the table: `size` bytes of `reply` from `start`, or all from there.

        Returns what was refused, as (service, general status, first word of extended status or 0): the
        service PACKET for the packet as a whole, the status WRONG_SIZE for an attribute of another size
        than planned, with that size as its extended status. Their signals stay as they were; see `fail`.
        Of fragments, `received` says how many bytes have come; at 0 after a call all came and were decoded,
        or nothing more will.

        Raises TypeChanged where the type of any service is not the planned one, and DecodeError for
        everything else that no right reply has, with offsets counted from `start`; the table is then as before.
        """
        cdef Py_buffer view
        if PyBytes_CheckExact(reply):
            return self.decode_part(<const uint8_t*>PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply), start, size)
        PyObject_GetBuffer(reply, &view, PyBUF_SIMPLE)
        try:
            return self.decode_part(<const uint8_t*>view.buf, view.len, start, size)
        finally:
            PyBuffer_Release(&view)

    cdef object decode_part(self, const uint8_t* data, Py_ssize_t length, Py_ssize_t start, Py_ssize_t size):
        cdef Reader reader
        if start < 0 or size < -1:
            raise ValueError(f"there is no part of {size} bytes from {start}")
        if self.n_services == 0:
            raise ValueError("the plan has no service yet")
        length = max(length - start, 0)
        reader.data, reader.length, reader.failed_at = data + start, length if size == -1 else min(size, length), -1
        if self.packing == FRAGMENTS:
            return self.take_fragment(&reader)
        if self.is_known() and reader.length == self.length and is_framed_alike(self.chunks, &reader):
            run_changed(self.table, self.entries, self.invalid, self.chunks, &reader)
            return self.settle(&reader)
        cdef Finding finding = Finding(fault=NO_FAULT, service=0, offset=0, told=0, wanted=0)
        self.version = 0
        if self.packing == MULTIPLE:
            examine_packet(&reader, self.services, self.n_services, &finding)
        else:
            examine_service(&reader, self.services, 0, reader.length, &finding)
        if finding.fault == REFUSED:
            return ((PACKET, finding.told, finding.wanted),)
        check(&finding)
        self.fill(&reader)
        return self.settle(&reader)

    cdef bint is_known(self) noexcept:
        return self.version != 0 and self.version == self.table.version and self.n_ordered == self.n

    cdef object settle(self, Reader* reader):
        self.version = self.table.version
        if reader.failed_at >= 0:   # what was checked makes this impossible
            self.version = 0
            raise DecodeError("the plan reads beyond the reply", reader.failed_at)
        return self.refused

    cdef object take_fragment(self, Reader* reader):
        """One reply to Read Tag Fragmented: general status 6 says that more follows (1756-PM020)."""
        cdef Service* service = self.services
        cdef Finding finding = Finding(fault=NO_FAULT, service=0, offset=0, told=0, wanted=0)
        cdef Reader whole
        cdef Py_ssize_t left = service.size - self.received
        cdef Py_ssize_t size
        self.received = 0           # whatever is raised below, the next read begins anew
        cdef Py_ssize_t data = examine_head(reader, 0, reader.length, READ_TAG_FRAGMENTED, &finding)
        check(&finding)
        cdef int status = read_u8(reader, 2)
        if status != SUCCESS and status != PARTIAL_TRANSFER:
            return ((0, status, extended_status(reader, 0, data)),)
        data = examine_type(reader, service, data, reader.length, &finding)
        check(&finding)
        size = reader.length - data
        if not (is_padded(size, left) if status == SUCCESS else 0 < size < left):
            found(&finding, OTHER_LENGTH, data + min(size, left), size, left)
        check(&finding)
        read_bytes(reader, data, self.fragments + service.size - left, min(size, left))
        if status == PARTIAL_TRANSFER:
            self.received = service.size - left + size
            return ()
        whole.data, whole.length, whole.failed_at = self.fragments, service.size, -1
        if self.is_known():
            run_changed(self.table, self.entries, self.invalid, self.chunks, &whole)
        else:
            service.place, service.length = 0, service.size
            self.fill(&whole)
        return self.settle(&whole)

    def begin(self):
        """Forget the fragments received so far: the next `decode` takes the first."""
        self.received = 0

    cdef int fill(self, Reader* reader) except -1:
        """Decode every entry of an examined reply, and keep that as the last.

        Taking a signal from another plan makes that one decode everything next time, since what it knows
        of the last reply no longer says what the table holds.
        """
        cdef Py_ssize_t i
        cdef bint taken = False
        cdef Slot* slot
        if self.n_ordered != self.n:
            self.order()
        cdef Chunk* chunks = <Chunk*>realloc(self.chunks, (reader.length // CHUNK + 1) * sizeof(Chunk))
        if chunks == NULL:
            raise MemoryError
        self.chunks, self.length = chunks, reader.length
        lay_out(chunks, reader, self.services, self.n_services, self.entries, self.n)
        for i in range(self.n):
            slot = &self.table.slots[self.entries[i].signal]
            if slot.owner != self.number:
                slot.owner = self.number
                taken = True
        if taken:
            self.table.version += 1
        run(self.table, self.entries, 0, self.n, self.invalid, reader)
        self.refused = tuple((i, self.services[i].status, self.services[i].extended)
                             for i in range(self.n_services) if self.services[i].status != SUCCESS)
        return 0

    cdef int order(self) except -1:
        """Sort the entries by service and byte."""
        cdef Py_ssize_t i
        cdef Entry* ordered = <Entry*>calloc(max(self.n, 1), sizeof(Entry))
        if ordered == NULL:
            raise MemoryError
        keys = [(self.entries[i].service, self.entries[i].at) for i in range(self.n)]
        for i, was in enumerate(sorted(range(self.n), key=keys.__getitem__)):
            ordered[i] = self.entries[<Py_ssize_t>was]
        free(self.entries)
        self.entries = ordered
        self.capacity = max(self.n, 1)
        self.n_ordered = self.n
        return 0

    def fail(self, str why not None, Py_ssize_t service=-1):
        """Make the signals of one service bad, or those of all."""
        cdef Py_ssize_t i
        cdef int32_t number = self.table.why_number(why)
        self.table.version += 1
        for i in range(self.n):
            if service < 0 or self.entries[i].service == service:
                set_bad(self.table, self.entries[i].signal, number)

    def signals(self, Py_ssize_t service=-1):
        """The numbers of the signals of one service, or of all, in ascending order."""
        cdef Py_ssize_t i
        return sorted(self.entries[i].signal for i in range(self.n)
                      if service < 0 or self.entries[i].service == service)


cdef int check(const Finding* finding) except -1:
    """Raise what was found."""
    if finding.fault == NO_FAULT:
        return 0
    message = FAULTS[finding.fault].format(service=finding.service, told=finding.told, wanted=finding.wanted)
    if finding.fault in (OTHER_TYPE, OTHER_HANDLE, OTHER_LENGTH, OTHER_EDITION):
        raise TypeChanged(message, finding.offset, finding.service)
    raise DecodeError(message, finding.offset)
