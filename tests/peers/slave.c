/* A Modbus slave on libmodbus, a second stack for tests: one unit id on TCP or on a serial line, which only reads.
 *
 *   slave tcp PORT UNIT [option]...                          PORT 0 takes a free one
 *   slave rtu PATH BAUD PARITY STOP_BITS UNIT [option]...    PARITY is N, E or O
 *
 * Every register holds its own address and every bit is on at odd addresses. Options:
 *   --delay MS      each answer comes so much later
 *   --hole A-B      these addresses of all four tables are refused with exception 2; can be repeated
 *   --count-up      registers hold their address plus the number of requests before this one
 *
 * It prints "ready PORT" when it can be asked, ends at SIGTERM, with exit code 3 if anything but function codes 1 to 4
 * and 43 was asked. It also ends with its parent.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 65536, MOST_HOLES = 64, VIOLATED = 3 };

static int hole_begin[MOST_HOLES], hole_end[MOST_HOLES], holes;
static long delay_ms;
static int count_up;
static volatile sig_atomic_t violated;

static void quit(int number) {
    (void)number;
    _exit(violated ? VIOLATED : 0);
}

static void fail(const char *what) {
    fprintf(stderr, "slave: %s: %s\n", what, modbus_strerror(errno));
    exit(2);
}

static void usage(void) {
    fprintf(stderr, "slave tcp PORT UNIT [option]... | slave rtu PATH BAUD PARITY STOP_BITS UNIT [option]...\n"
                    "options: --delay MS, --hole A-B, --count-up\n");
    exit(2);
}

static void options(int argc, char **argv, int at) {
    for (; at < argc; at++) {
        if (!strcmp(argv[at], "--count-up")) {
            count_up = 1;
        } else if (!strcmp(argv[at], "--delay") && at + 1 < argc) {
            delay_ms = atol(argv[++at]);
        } else if (!strcmp(argv[at], "--hole") && at + 1 < argc && holes < MOST_HOLES) {
            if (sscanf(argv[++at], "%d-%d", &hole_begin[holes], &hole_end[holes]) != 2) usage();
            holes++;
        } else {
            usage();
        }
    }
}

static int in_a_hole(int address, int count) {
    for (int n = 0; n < holes; n++)
        if (address <= hole_end[n] && address + count > hole_begin[n]) return 1;
    return 0;
}

/* Answers one request; what libmodbus itself refuses (a count that is too large) it refuses here as well. */
static void answer(modbus_t *context, const uint8_t *query, int length, modbus_mapping_t *memory, int unit) {
    static unsigned requests;
    const uint8_t *pdu = query + modbus_get_header_length(context);
    if (pdu[-1] != unit) return; /* not ours: silence, as on a serial line */
    if (count_up) {
        requests++;
        for (int n = 0; n < ADDRESSES; n++)
            memory->tab_registers[n] = memory->tab_input_registers[n] = (uint16_t)(n + requests - 1);
    }
    if (delay_ms) usleep((useconds_t)delay_ms * 1000);
    if ((pdu[0] < 1 || pdu[0] > 4) && pdu[0] != 43) violated = 1;
    if (pdu[0] > 4) {
        modbus_reply_exception(context, query, MODBUS_EXCEPTION_ILLEGAL_FUNCTION);
    } else if (in_a_hole(pdu[1] << 8 | pdu[2], pdu[3] << 8 | pdu[4])) {
        modbus_reply_exception(context, query, MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS);
    } else {
        modbus_reply(context, query, length, memory);
    }
}

/* Serves one connection, or a serial line for ever. */
static void serve(modbus_t *context, modbus_mapping_t *memory, int unit, int serial) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int length = modbus_receive(context, query);
        if (length > 0) {
            answer(context, query, length, memory, unit);
        } else if (length < 0 && !serial) {
            return;
        } else if (length < 0 && (errno == EIO || errno == EBADF)) {
            exit(violated ? VIOLATED : 0); /* the line is gone */
        }
    }
}

int main(int argc, char **argv) {
    int serial = argc > 1 && !strcmp(argv[1], "rtu");
    int first_option = serial ? 7 : 4;
    if (argc < first_option || (!serial && strcmp(argv[1], "tcp"))) usage();
    options(argc, argv, first_option);
    int unit = atoi(argv[first_option - 1]);
    signal(SIGTERM, quit);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);

    modbus_mapping_t *memory = modbus_mapping_new(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES);
    if (memory == NULL) fail("memory");
    for (int n = 0; n < ADDRESSES; n++) {
        memory->tab_bits[n] = memory->tab_input_bits[n] = n & 1;
        memory->tab_registers[n] = memory->tab_input_registers[n] = (uint16_t)n;
    }

    if (serial) {
        modbus_t *line = modbus_new_rtu(argv[2], atoi(argv[3]), argv[4][0], 8, atoi(argv[5]));
        if (line == NULL || modbus_set_slave(line, unit) || modbus_connect(line)) fail(argv[2]);
        printf("ready 0\n");
        fflush(stdout);
        serve(line, memory, unit, 1);
    }
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
    int listener = context == NULL ? -1 : modbus_tcp_listen(context, 1);
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&bound, &size)) fail(argv[2]);
    printf("ready %d\n", ntohs(bound.sin_port));
    fflush(stdout);
    while (modbus_tcp_accept(context, &listener) >= 0) {
        int at_once = 1; /* else a reply waits for the acknowledgement of the one before, up to 40 ms */
        setsockopt(modbus_get_socket(context), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
        serve(context, memory, unit, 0);
        modbus_close(context);
    }
    fail("accept");
}
