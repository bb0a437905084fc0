/*
 * store_checksum.h: RocksDB's CRC-32C, computed by the processor's instructions for it.
 *
 * RocksDB protects each blob file with CRC-32C, and large messages lie in blob files. Debian builds RocksDB for every
 * x86-64 processor, without the instructions that compute it, so that 31 MB took 50 ms: the better part of a large
 * COMMIT, of a large GET, and of a flush. The C interface cannot choose another checksum for blob files. So this file
 * defines RocksDB's own function in front of RocksDB's:
 *
 *   RocksDB ─► rocksdb::crc32c::Extend ─► ours ─► ISA-L, which chooses at run time what the processor has
 *
 * The values are the same, so the files are, and either side reads what the other has written. With a RocksDB whose
 * function has another name, ours is never called.
 *
 * ISA-L was chosen because Debian has it, and because it has the code for each processor, an old one too.
 *
 * Threads: any.
 */
#ifndef HALFMQ_BROKER_STORE_CHECKSUM_H
#define HALFMQ_BROKER_STORE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CRC-32C of what crc is the CRC-32C of (0: nothing), with n bytes more behind it. */
uint32_t store_checksum(uint32_t crc, const char *data, size_t n) __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm");

/* False: it computes something else, so that nobody could read what RocksDB would write. */
bool store_checksum_is_right(void);

#endif
