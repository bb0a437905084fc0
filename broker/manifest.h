/*
 * manifest.h: the file in which RocksDB keeps which files it has, after a power cut.
 *
 *   CURRENT ──► "MANIFEST-000017"   blocks of 32 KiB; entry: check u32 │ length u16 │ kind u8 │ bytes
 *
 *   entry │ entry │ entr 0000000    the last one was not synced: its end is zeros, or any bytes
 *                 └─ RocksDB takes an end that is cut off for what it is, but refuses to open with this one
 *
 * Nothing counts before its entry is synced, so such an end is cut off; it is kept beside as MANIFEST-000017.torn. Where
 * a sound entry is behind the bad place, it is damage, and left alone. If the last entry had been synced and is damaged,
 * RocksDB's files are an older state then, which the log does not follow on, or refer to a file that is gone: the start is
 * refused.
 */
#ifndef HALFMQ_BROKER_MANIFEST_H
#define HALFMQ_BROKER_MANIFEST_H

/* Cuts a torn end off. Whatever fails is not told: RocksDB looks at the same file next. No database may be open. */
void manifest_mend(const char *store_path);

#endif
