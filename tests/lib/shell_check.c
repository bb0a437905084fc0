/* shell_check.c: closes a store, checks it, and opens it again (shell_check.h). */
#include "tests/lib/shell_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/check/check.h"

static void shell_damaged(void *arg, const char *text)
{
    struct buf *out = arg;
    buf_put_str(out, text);
    buf_put_u8(out, '\n');
}

bool shell_check(struct shell *s, struct buf *out)
{
    char err[256] = "";
    struct check_sums sums;
    uint64_t index = s->index; /* the store does not count commands that changed nothing */
    shell_close(s);
    const struct check_options opt = {.path = s->path, .memory_bytes = (size_t)16 << 20, .damage = shell_damaged, .arg = out};
    enum status status = store_check(&opt, &sums, err, sizeof err);
    buf_put_u8(out, 0);
    if (!shell_open(s))
        return false;
    s->index = index > s->index ? index : s->index;
    if (status != ST_OK)
        (void)fprintf(stderr, "the store cannot be checked: %s\n", err);
    return status == ST_OK && !out->failed;
}

void shell_sound(struct shell *s)
{
    struct buf out;
    buf_init(&out, 0);
    bool checked = shell_check(s, &out);
    if (checked && out.len == 1) {
        buf_free(&out);
        return;
    }
    (void)fprintf(stderr, "a sound store is called damaged:\n%s", (const char *)out.data);
    abort();
}
