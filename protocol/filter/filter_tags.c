/* filter_tags.c: reads a||b||c (filter_tags.h). */
#include "protocol/filter/filter_tags.h"

#include "protocol/base/text.h"

#define SHOWN_BYTES 64
#define SHOWN_SIZE (4 * SHOWN_BYTES + 4)

static struct slice tags_trim(struct slice s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_of(s.data + 1, s.len - 1);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool filter_tags_next(struct slice *left, struct slice *ret_tag)
{
    size_t n = 0;
    if (!left->data)
        return false;
    while (n + 1 < left->len && !(left->data[n] == '|' && left->data[n + 1] == '|'))
        n++;
    bool more = n + 1 < left->len;
    *ret_tag = tags_trim(slice_of(left->data, more ? n : left->len));
    /* Behind a || there is one more tag, if an empty one: left->data is NULL only behind the last. */
    *left = more ? slice_of(left->data + n + 2, left->len - n - 2) : slice_of(NULL, 0);
    return true;
}

enum status filter_tags_check(struct slice text, struct complaint say)
{
    char shown[SHOWN_SIZE];
    struct slice left = text.data ? text : slice_of("", 0), tag;
    while (filter_tags_next(&left, &tag)) {
        if (text_name_ok(tag, true))
            continue;
        text_quote(tag, SHOWN_BYTES, shown, sizeof shown);
        return complain(say, ST_BADNAME, "FILTER TAG: '%s' is not a tag: write one, or several as a||b", shown);
    }
    return ST_OK;
}
