/* glob.c: matches names with patterns (glob.h). */
#include "storage/access/glob.h"

#include "protocol/base/text.h"
#include "protocol/limits.h"

bool glob_ok(struct slice pattern)
{
    if (pattern.len == 0 || pattern.len > SYSTEM_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < pattern.len; i++) {
        uint8_t c = pattern.data[i];
        if (c != '*' && c != '?' && !text_name_ok(slice_of(&pattern.data[i], 1), false))
            return false;
    }
    return true;
}

/* Goes back to the last `*` where a byte does not fit, and lets that one stand for a byte more. */
bool glob_matches(struct slice pattern, struct slice name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            star_n = n;
        } else if (p < pattern.len && (pattern.data[p] == '?' || pattern.data[p] == name.data[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}
