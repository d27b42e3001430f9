/* A Modbus TCP client on libmodbus that reads 125 registers over and over: the floor of what a scan costs.
 *
 *   client PORT UNIT BLOCKS ROUNDS      each round reads BLOCKS blocks of 125 holding registers from 0 on
 *
 * It prints the processor time of the rounds, user and system, in seconds.
 */
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { COUNT = 125 };

static double processor_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int blocks = atoi(argv[3]), rounds = atoi(argv[4]);
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (context == NULL || modbus_set_slave(context, atoi(argv[2])) || modbus_connect(context)) return 1;
    uint16_t registers[COUNT];
    double began = processor_s();
    for (int round = 0; round < rounds; round++)
        for (int block = 0; block < blocks; block++)
            if (modbus_read_registers(context, block * COUNT, COUNT, registers) != COUNT) return 1;
    printf("%.9f\n", processor_s() - began);
    modbus_close(context);
    modbus_free(context);
    return 0;
}
