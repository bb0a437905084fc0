/*
 * secret_file.h: what files of secrets and keys say: a password, a JWT secret, public keys.
 */
#ifndef HALFMQ_BROKER_SECRET_FILE_H
#define HALFMQ_BROKER_SECRET_FILE_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/status.h"

#define SECRET_FILE_BYTES_MAX ((size_t)KIB(256))

/* Appends the whole file. On failure err is a sentence that names the setting and the file, and nothing of what is in it. */
enum status secret_file_read(const char *setting, const char *path, struct buf *out, char *err, size_t err_size) MUST_CHECK;

/* The same for a file of one line: without its end, not empty and without a NUL. */
enum status secret_file_line(const char *setting, const char *path, struct buf *out, char *err, size_t err_size) MUST_CHECK;

/* Overwrites what is in the buffer, then frees it. */
void secret_forget(struct buf *b);

#endif
