/* acl.c: reads the password that a user gets; see acl.h. */
#include "clients/cli/acl.h"

#include <stdio.h>
#include <unistd.h>

#include "clients/cli/password.h"
#include "protocol/command/command.h"

static bool acl_is_ask(struct slice word)
{
    return slice_equal(word, SLICE_LIT("--password"));
}

static bool acl_is_file(struct slice word)
{
    return slice_equal(word, SLICE_LIT("--password-file"));
}

static enum exit_code acl_wrong(const char *why)
{
    fprintf(stderr, "halfmq: acl setuser: %s\n", why);
    return EXIT_USAGE;
}

/* Where the password belongs, from `first` on. EXIT_DONE with *ret_at == n: nowhere. */
static enum exit_code acl_find(const struct slice *words, size_t n, size_t first, size_t *ret_at)
{
    size_t found = 0;
    *ret_at = n;
    for (size_t i = first; i < n; i++) {
        if (!acl_is_ask(words[i]) && !acl_is_file(words[i]))
            continue;
        *ret_at = found++ == 0 ? i : *ret_at;
        if (acl_is_file(words[i]) && ++i == n)
            return acl_wrong("--password-file lacks the name of the file");
    }
    return found > 1 ? acl_wrong("only one password at a time") : EXIT_DONE;
}

static enum exit_code acl_read(struct slice user, const struct slice *option, struct buf *rule, bool stdin_is_free)
{
    if (acl_is_file(*option))
        return password_from_file(option[1], rule);
    if (!stdin_is_free && !isatty(STDIN_FILENO))
        return acl_wrong("--password cannot be used here, as the commands come from standard input; use --password-file");
    return password_ask(user, true, rule);
}

enum exit_code acl_fill(struct slice *words, size_t *n, struct buf *rule, bool stdin_is_free)
{
    size_t used, at;
    const struct command_info *info = command_find(words, *n, &used);
    if (!info || info->id != CMD_ACL_SETUSER || *n <= used)
        return EXIT_DONE;
    enum exit_code e = acl_find(words, *n, used + 1, &at);
    if (e != EXIT_DONE || at == *n)
        return e;
    buf_put_u8(rule, '>');
    e = acl_read(words[used], &words[at], rule, stdin_is_free);
    if (e != EXIT_DONE)
        return e;
    if (acl_is_file(words[at])) {
        memmove(&words[at + 1], &words[at + 2], (*n - at - 2) * sizeof *words);
        *n -= 1;
    }
    words[at] = buf_slice(rule);
    return EXIT_DONE;
}
