/* run.c: runs a command, typed here or read from a stream, and follows what a subscription brings; see run.h. */
#include "clients/cli/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/acl.h"
#include "clients/cli/body.h"
#include "clients/cli/help.h"
#include "clients/cli/password.h"
#include "clients/cli/shorthand.h"
#include "clients/cli/print/show.h"
#include "clients/cli/steps.h"
#include "clients/cli/tail.h"
#include "protocol/resp/resp.h"

/* After SUBSCRIBE: prints what arrives until ^C, or until the broker closes. */
static enum exit_code run_follow_pushes(struct cli_run *run)
{
    enum exit_code e = EXIT_DONE;
    while (e == EXIT_DONE) {
        redisReply *reply = NULL;
        e = conn_receive(&run->conn, -1, &reply);
        if (e == EXIT_DONE)
            e = show_push(reply, run->options.json);
        freeReplyObject(reply);
    }
    conn_close(&run->conn); /* a subscribed connection cannot run other commands */
    return e == EXIT_INTERRUPTED ? EXIT_DONE : e;
}

static enum exit_code run_subscribe(struct cli_run *run, const struct slice *words, size_t n)
{
    enum exit_code e = conn_send(&run->conn, words, n);
    for (size_t i = 1; e == EXIT_DONE && i < n; i++) {
        redisReply *reply = NULL;
        e = conn_receive(&run->conn, run->options.timeout_ms, &reply);
        if (e == EXIT_DONE && reply->type == REDIS_REPLY_ERROR)
            e = show_push(reply, run->options.json);
        freeReplyObject(reply);
    }
    if (e != EXIT_DONE) {
        conn_close(&run->conn);
        return e;
    }
    fputs("subscribed; ^C stops\n", stderr);
    conn_catch_interrupt();
    return run_follow_pushes(run);
}

static enum exit_code run_ask(struct cli_run *run, const struct slice *words, size_t n)
{
    size_t used;
    redisReply *reply = NULL;
    const struct command_info *info = command_find(words, n, &used);
    if (info && info->id == CMD_SUBSCRIBE && n > 1)
        return run_subscribe(run, words, n);
    enum exit_code e = conn_ask(&run->conn, words, n, &reply);
    if (e != EXIT_DONE)
        return e;
    e = show_reply(reply, view_shape(info), run->options.json);
    freeReplyObject(reply);
    return e;
}

static enum exit_code run_remote(struct cli_run *run, const struct slice *words, size_t n)
{
    struct buf body, rule;
    struct slice *all = calloc(n + SHORTHAND_WORDS_MORE, sizeof *all);
    if (!all) {
        fputs("halfmq: out of memory\n", stderr);
        return EXIT_USAGE;
    }
    buf_init(&body, 0);
    buf_init(&rule, 0);
    n = shorthand_expand(words, n, all);
    enum exit_code e = body_fill(all, &n, &body, run->stdin_is_free);
    if (e == EXIT_DONE)
        e = acl_fill(all, &n, &rule, run->stdin_is_free);
    if (e == EXIT_DONE && slice_equal_nocase(words[0], SLICE_LIT("REDRIVE")))
        e = steps_redrive(&run->conn, all, n, run->options.json);
    else if (e == EXIT_DONE)
        e = run_ask(run, all, n);
    buf_free(&body);
    password_forget(&rule);
    free(all);
    return e;
}

enum exit_code run_words(struct cli_run *run, const struct slice *words, size_t n)
{
    if (slice_equal_nocase(words[0], SLICE_LIT("HELP")))
        return help_command(words + 1, n - 1);
    if (slice_equal_nocase(words[0], SLICE_LIT("TAIL")))
        return tail_run(&run->conn, words + 1, n - 1);
    return run_remote(run, words, n);
}

static enum exit_code run_parsed(struct cli_run *run, struct resp_reader *reader, struct slice input)
{
    char why[256];
    struct slice *words;
    size_t n, used;
    enum status s = resp_reader_next(reader, input, &words, &n, &used, why, sizeof why);
    if (s == ST_OK)
        return run_words(run, words, n);
    if (s == ST_MORE) /* a blank line */
        return EXIT_DONE;
    fprintf(stderr, "halfmq: cannot read the line: %s\n", s == ST_NOMEM ? "out of memory" : why);
    return EXIT_USAGE;
}

enum exit_code run_line(struct cli_run *run, struct slice line)
{
    struct resp_reader reader;
    struct buf input;
    if (line.len && line.data[0] == '#')
        return EXIT_DONE;
    if (line.len && line.data[0] == '*') {
        fputs("halfmq: a command cannot begin with '*'\n", stderr);
        return EXIT_USAGE;
    }
    buf_init(&input, 0);
    resp_reader_init(&reader, INLINE_BYTES_MAX);
    buf_put_slice(&input, line);
    buf_put_u8(&input, '\n');
    enum exit_code e = EXIT_USAGE;
    if (input.failed)
        fputs("halfmq: the line is too long; send a large body with --file\n", stderr);
    else
        e = run_parsed(run, &reader, buf_slice(&input));
    resp_reader_free(&reader);
    buf_free(&input);
    return e;
}

enum exit_code run_lines(struct cli_run *run, FILE *f)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    enum exit_code first = EXIT_DONE;
    run->stdin_is_free = false;
    while ((len = getline(&line, &size, f)) >= 0) {
        size_t n = (size_t)len;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        enum exit_code e = run_line(run, slice_of(line, n));
        if (first == EXIT_DONE)
            first = e;
        if (e == EXIT_NO_BROKER || e == EXIT_INTERRUPTED)
            break;
    }
    free(line);
    return first;
}
