/* compress.h: the words that COMPRESS takes, and what they stand for (compress.def). */
#ifndef HALFMQ_PROTOCOL_COMPRESS_H
#define HALFMQ_PROTOCOL_COMPRESS_H

#include "protocol/base/slice.h"

enum compress {
#define COMPRESSION(id, number, word) COMPRESS_##id = number,
#include "protocol/base/compress.def"
#undef COMPRESSION
};

/* In either case of letters. False: no such word. */
bool compress_find(struct slice word, enum compress *ret_compress);

const char *compress_word(enum compress compress);

#endif
