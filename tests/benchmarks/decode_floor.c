/* The floor for decoding: the loop of one block of registers in plain C, with change detection and deadbands.

   What it does a signal is what has to be done: load and order the bytes, sign or make a double of them, scale,
   refuse what is not finite, compare with the value before, hold back what is within the deadband, note the rest
   once in a list. It trusts its plan: it checks no bounds, and knows neither text nor BCD nor invalid values. */

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { BIT, I16, U16, I32, U32, I64, U64, F32, F64 };
enum { BAD, GOOD = 2 };
enum { MOST = 2000 };

typedef struct {
    double scale, offset;
    int32_t at;
    uint8_t op, bit, scaled;
} Entry;

typedef struct {
    union { int64_t i; uint64_t u; double d; } value, reported;
    double deadband;
    uint8_t quality, dirty;
} Slot;

static Entry entries[MOST];
static Slot slots[MOST];
static int32_t changed[MOST];
static int n, n_changed;

/* Plan one signal more; the first of a plan has `number` 0. */
void plan(int number, int op, int at, int bit, double scale, double offset, double deadband)
{
    Entry entry = {scale, offset, at, (uint8_t)op, (uint8_t)bit, scale != 1.0 || offset != 0.0};
    Slot slot = {{0}, {0}, deadband, BAD, 0};
    entries[number] = entry;
    slots[number] = slot;
    n = number + 1;
    n_changed = 0;
}

static inline void mark(int i, Slot *slot)
{
    if (!slot->dirty) {
        slot->dirty = 1;
        changed[n_changed++] = i;
    }
}

static inline void set_double(int i, double value)
{
    Slot *slot = &slots[i];
    if (slot->quality == GOOD) {
        if (slot->value.d == value)
            return;
        if (isfinite(value)) {
            slot->value.d = value;
            if (!(slot->deadband > 0.0 && fabs(value - slot->reported.d) < slot->deadband))
                mark(i, slot);
            return;
        }
    }
    uint8_t quality = isfinite(value) ? GOOD : BAD;
    if (quality == GOOD)
        slot->value.d = value;
    if (quality != slot->quality) {
        slot->quality = quality;
        mark(i, slot);
    }
}

static inline void set_integer(int i, uint64_t value, int is_signed)
{
    Slot *slot = &slots[i];
    if (slot->quality == GOOD && slot->value.u == value)
        return;
    uint8_t was = slot->quality;
    slot->value.u = value;
    slot->quality = GOOD;
    if (was == GOOD && slot->deadband > 0.0) {
        int above = is_signed ? slot->value.i > slot->reported.i : value > slot->reported.u;
        uint64_t distance = above ? value - slot->reported.u : slot->reported.u - value;
        if ((double)distance < slot->deadband)
            return;
    }
    mark(i, slot);
}

static inline void set_number(int i, const Entry *entry, uint64_t raw, int is_signed)
{
    if (entry->scaled)
        set_double(i, (is_signed ? (double)(int64_t)raw : (double)raw) * entry->scale + entry->offset);
    else
        set_integer(i, raw, is_signed);
}

static inline uint16_t load16(const uint8_t *from) { uint16_t raw; memcpy(&raw, from, 2); return __builtin_bswap16(raw); }
static inline uint32_t load32(const uint8_t *from) { uint32_t raw; memcpy(&raw, from, 4); return __builtin_bswap32(raw); }
static inline uint64_t load64(const uint8_t *from) { uint64_t raw; memcpy(&raw, from, 8); return __builtin_bswap64(raw); }

static void decode(const uint8_t *payload)
{
    for (int i = 0; i < n; i++) {
        const Entry *entry = &entries[i];
        const uint8_t *from = payload + entry->at;
        switch (entry->op) {
        case BIT: set_integer(i, (load16(from) >> entry->bit) & 1, 0); break;
        case I16: set_number(i, entry, (uint64_t)(int64_t)(int16_t)load16(from), 1); break;
        case U16: set_number(i, entry, load16(from), 0); break;
        case I32: set_number(i, entry, (uint64_t)(int64_t)(int32_t)load32(from), 1); break;
        case U32: set_number(i, entry, load32(from), 0); break;
        case I64: set_number(i, entry, load64(from), 1); break;
        case U64: set_number(i, entry, load64(from), 0); break;
        case F32: {
            uint32_t raw = load32(from);
            float single;
            memcpy(&single, &raw, 4);
            set_double(i, entry->scaled ? single * entry->scale + entry->offset : single);
            break;
        }
        case F64: {
            uint64_t raw = load64(from);
            double number;
            memcpy(&number, &raw, 8);
            set_double(i, entry->scaled ? number * entry->scale + entry->offset : number);
            break;
        }
        }
    }
}

/* Decode two payloads in turn, `rounds` times together. */
void repeat(const uint8_t *even, const uint8_t *odd, long rounds)
{
    for (long round = 0; round < rounds; round++)
        decode(round & 1 ? odd : even);
}

/* Empty the list of changes; how many there were. */
int take(void)
{
    int taken = n_changed;
    for (int i = 0; i < n_changed; i++) {
        Slot *slot = &slots[changed[i]];
        slot->dirty = 0;
        slot->reported = slot->value;
    }
    n_changed = 0;
    return taken;
}

/* A signal's value as a double, NaN while it is bad: for the proof that both decode the same. */
double value_of(int i)
{
    if (slots[i].quality != GOOD)
        return NAN;
    if (entries[i].scaled || entries[i].op == F32 || entries[i].op == F64)
        return slots[i].value.d;
    return entries[i].op == I16 || entries[i].op == I32 || entries[i].op == I64 ? (double)slots[i].value.i
                                                                                : (double)slots[i].value.u;
}
