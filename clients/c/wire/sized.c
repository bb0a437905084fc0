/* sized.c: copies structures of two sizes over each other; see sized.h. */
#include "clients/c/wire/sized.h"

#include <stdint.h>
#include <string.h>

static size_t sized_of(const void *structure)
{
    size_t size;
    memcpy(&size, structure, sizeof size);
    return size;
}

bool sized_read(void *to, size_t size, const void *from, size_t least)
{
    const uint8_t *bytes = from;
    size_t theirs = sized_of(from);
    if (theirs < least || theirs > SIZED_BYTES_MAX)
        return false;
    for (size_t i = size; i < theirs; i++)
        if (bytes[i] != 0)
            return false;
    memcpy(to, from, theirs < size ? theirs : size);
    memcpy(to, &size, sizeof size);
    return true;
}

bool sized_write(void *to, const void *from, size_t size, size_t least)
{
    size_t theirs = sized_of(to), filled = theirs < size ? theirs : size;
    if (theirs < least || theirs > SIZED_BYTES_MAX)
        return false;
    memset(to, 0, theirs);
    memcpy(to, from, filled);
    memcpy(to, &filled, sizeof filled);
    return true;
}
