/* position.c: parses positions in a queue (position.h). */
#include "protocol/base/position.h"

#include "protocol/base/text.h"

static bool position_number(struct slice s, struct position *ret_p)
{
    int64_t n = 0;
    if (!text_int(s, &n) || n == INT64_MIN)
        return false;
    bool back = s.data[0] == '-';
    *ret_p = (struct position){back ? POSITION_BEFORE_END : POSITION_OFFSET, n < 0 ? -n : n};
    return true;
}

bool position_parse(struct slice s, struct position *ret_p)
{
    struct position p = {POSITION_OFFSET, 0};
    if (s.len > 1 && s.data[0] == '@') {
        p.kind = POSITION_TIME;
        if (!text_time(slice_of(s.data + 1, s.len - 1), &p.n))
            return false;
    } else if (slice_equal_nocase(s, SLICE_LIT("latest"))) {
        p.kind = POSITION_BEFORE_END;
    } else if (!slice_equal_nocase(s, SLICE_LIT("earliest"))) {
        return position_number(s, ret_p);
    }
    *ret_p = p;
    return true;
}
