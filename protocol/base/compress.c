/* compress.c: looks up a COMPRESS word, and its number, in the table of compress.def. */
#include "protocol/base/compress.h"

static const char *const words[] = {
#define COMPRESSION(id, number, word) [number] = word,
#include "protocol/base/compress.def"
#undef COMPRESSION
};

bool compress_find(struct slice word, enum compress *ret_compress)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!slice_equal_nocase(word, slice_str(words[i])))
            continue;
        *ret_compress = (enum compress)i;
        return true;
    }
    return false;
}

const char *compress_word(enum compress compress)
{
    return words[compress];
}
