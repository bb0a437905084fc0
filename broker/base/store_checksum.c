/* store_checksum.c: ISA-L's CRC-32C in the form that RocksDB calls (store_checksum.h). */
#include "broker/base/store_checksum.h"

#include <isa-l/crc.h>

#define BYTES_AT_ONCE ((size_t)1 << 30) /* ISA-L counts in an int */

uint32_t store_checksum(uint32_t crc, const char *data, size_t n)
{
    uint32_t state = ~crc;
    while (n > 0) {
        size_t now = n < BYTES_AT_ONCE ? n : BYTES_AT_ONCE;
        state = crc32_iscsi((unsigned char *)(uintptr_t)data, (int)now, state); /* it only reads */
        data += now;
        n -= now;
    }
    return ~state;
}

bool store_checksum_is_right(void)
{
    return store_checksum(0, "123456789", 9) == 0xe3069283u && store_checksum(store_checksum(0, "1234", 4), "56789", 5) == 0xe3069283u;
}
