/*
 * script.c: plays a transcript line by line.
 *
 *   file ──► line ──► first word: [name] > < <~ ! ──► table of actions ──► connection `name` ──► broker
 *
 * The first line that names a connection opens it; in RESP3 mode it then sends HELLO 3. The play ends with the
 * first reply that is not as expected, since the lines after it would fail only because of that.
 */
#include "tests/transcripts/script.h"

#include "tests/lib/spawn.h"
#include "tests/lib/wire.h"
#include "tests/transcripts/match.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536
#define CONNECTIONS_MAX 16
#define POLL_DEADLINE_MS 20000
#define WORDS_MAX 2048

struct connection {
    char name[32];
    struct wire wire;
    bool open;
    int version;
    char *last; /* the last line that was sent, for <~ */
};

struct play {
    const char *path;
    int line_number;
    enum script_mode mode;
    struct spawned *broker;
    struct connection connection[CONNECTIONS_MAX];
    size_t n_connections;
    struct vars vars;
    const char *flags[SPAWN_FLAGS_MAX + 1];
    size_t n_flags;
};

const char *script_mode_name(enum script_mode mode)
{
    static const char *const names[MODE_COUNT] = {"inline", "array", "resp3"};
    return names[mode];
}

static bool __attribute__((format(printf, 2, 3)))
play_fail(const struct play *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)printf("%s:%d: (%s) ", p->path, p->line_number, script_mode_name(p->mode));
    (void)vprintf(fmt, args);
    (void)printf("\n");
    va_end(args);
    return false;
}

static bool send_array(struct play *p, struct connection *c, const char *line)
{
    static char text[LINE_MAX_BYTES];
    static struct slice words[WORDS_MAX];
    size_t n = 0, used = 0, len;
    while (n < WORDS_MAX && word_read(&line, text + used, sizeof(text) - used, &len)) {
        words[n++] = slice_of(text + used, len);
        used += len + 1;
    }
    if (*line)
        return play_fail(p, "a quote that is not closed, or too many words");
    return wire_send_words(&c->wire, words, n) || play_fail(p, "%s", c->wire.error);
}

/* Sends a command line, inline or as an array, depending on the mode. */
static bool send_line(struct play *p, struct connection *c, const char *line)
{
    static char filled[LINE_MAX_BYTES];
    if (!vars_fill(&p->vars, line, filled, sizeof(filled)))
        return play_fail(p, "an unknown ${variable} in: %s", line);
    if (p->mode != MODE_INLINE)
        return send_array(p, c, filled);
    bool ok = wire_send_str(&c->wire, filled) && wire_send_str(&c->wire, "\r\n");
    return ok || play_fail(p, "%s", c->wire.error);
}

static bool start_broker(struct play *p)
{
    if (!p->broker)
        p->broker = spawn_broker(p->flags);
    return true;
}

static bool hello(struct play *p, struct connection *c)
{
    struct resp_value *v = NULL;
    if (p->mode != MODE_RESP3)
        return true;
    if (!send_line(p, c, "HELLO 3") || !wire_reply(&c->wire, &v))
        return play_fail(p, "HELLO 3 was not answered: %s", c->wire.error);
    bool ok = v->kind == RV_MAP;
    resp_value_free(v);
    c->version = 3;
    return ok || play_fail(p, "HELLO 3 was not answered by a map");
}

static struct connection *find(struct play *p, const char *name)
{
    for (size_t i = 0; i < p->n_connections; i++) {
        if (strcmp(p->connection[i].name, name) == 0)
            return &p->connection[i];
    }
    if (p->n_connections == CONNECTIONS_MAX)
        return NULL;
    struct connection *c = &p->connection[p->n_connections++];
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    return c;
}

/* Returns the connection; opens it if it is not open. */
static struct connection *connection(struct play *p, const char *name)
{
    struct connection *c = find(p, name);
    if (!c || c->open)
        return c;
    (void)start_broker(p);
    c->version = 2;
    c->open = wire_open(&c->wire, p->broker->port);
    if (!c->open || !hello(p, c)) {
        (void)play_fail(p, "connection %s: %s", name, c->wire.error);
        return NULL;
    }
    return c;
}

static void disconnect(struct connection *c)
{
    if (c->open)
        wire_close(&c->wire);
    c->open = false;
    free(c->last);
    c->last = NULL;
}

static void disconnect_all(struct play *p)
{
    for (size_t i = 0; i < p->n_connections; i++)
        disconnect(&p->connection[i]);
}

static bool act_send(struct play *p, struct connection *c, const char *text)
{
    free(c->last);
    c->last = strdup(text);
    return c->last && send_line(p, c, text);
}

static bool show_mismatch(struct play *p, const char *pattern, const struct resp_value *v,
                          const struct connection *c)
{
    struct buf shown;
    buf_init(&shown, 0);
    resp_value_print(v, &shown);
    (void)play_fail(
        p, "the reply is not as expected\n    sent      %s\n    expected  %s\n    got       %.*s",
        c->last ? c->last : "", pattern, (int)(shown.len < 4000 ? shown.len : 4000),
        (const char *)shown.data);
    buf_free(&shown);
    return false;
}

static bool act_expect(struct play *p, struct connection *c, const char *text)
{
    struct resp_value *v = NULL;
    const char *why = NULL;
    if (!wire_reply(&c->wire, &v))
        return play_fail(p, "expected %s, but %s", text, c->wire.error);
    bool ok = match(text, v, c->version, &p->vars, &why);
    if (!ok && why)
        (void)play_fail(p, "the pattern is malformed: %s", why);
    else if (!ok)
        (void)show_mismatch(p, text, v, c);
    resp_value_free(v);
    return ok;
}

/* Sends the last command again until its reply matches. */
static bool act_until(struct play *p, struct connection *c, const char *text)
{
    int64_t deadline = spawn_now_ms() + POLL_DEADLINE_MS;
    for (;;) {
        struct resp_value *v = NULL;
        const char *why = NULL;
        if (!wire_reply(&c->wire, &v))
            return play_fail(p, "expected %s, but %s", text, c->wire.error);
        bool ok = match(text, v, c->version, &p->vars, &why);
        bool late = spawn_now_ms() > deadline;
        if (!ok && (why || late))
            (void)(why ? play_fail(p, "the pattern is malformed: %s", why)
                       : show_mismatch(p, text, v, c));
        resp_value_free(v);
        if (ok || why || late)
            return ok;
        spawn_pause();
        if (!c->last || !send_line(p, c, c->last))
            return false;
    }
}

static bool act_raw(struct play *p, struct connection *c, const char *text)
{
    static char filled[LINE_MAX_BYTES], bytes[LINE_MAX_BYTES];
    size_t len;
    const char *at = filled;
    if (!vars_fill(&p->vars, text, filled, sizeof(filled)) ||
        !word_read(&at, bytes, sizeof(bytes), &len))
        return play_fail(p, "!raw wants one quoted word");
    return wire_send(&c->wire, slice_of(bytes, len)) || play_fail(p, "%s", c->wire.error);
}

static bool act_slow(struct play *p, struct connection *c, const char *text)
{
    static char filled[LINE_MAX_BYTES], bytes[LINE_MAX_BYTES];
    size_t len;
    const char *at = filled;
    if (!vars_fill(&p->vars, text, filled, sizeof(filled)) ||
        !word_read(&at, bytes, sizeof(bytes), &len))
        return play_fail(p, "!slow wants one quoted word");
    return wire_send_slowly(&c->wire, slice_of(bytes, len)) || play_fail(p, "%s", c->wire.error);
}

/* !body <n> <line>: sends the line with each @ replaced by n bytes, in every mode as an array. */
static bool act_body(struct play *p, struct connection *c, const char *text)
{
    static char filled[LINE_MAX_BYTES], word[LINE_MAX_BYTES];
    struct slice words[64];
    char *end = NULL;
    size_t n_body = (size_t)strtoull(text, &end, 10), n = 0, used = 0, len;
    char *body = malloc(n_body + 1);
    const char *at = filled;
    if (!body || !vars_fill(&p->vars, end, filled, sizeof(filled))) {
        free(body);
        return play_fail(p, "!body wants a number and a line");
    }
    memset(body, 'x', n_body);
    while (n < 64 && word_read(&at, word + used, sizeof(word) - used, &len)) {
        bool here = len == 1 && word[used] == '@';
        words[n++] = here ? slice_of(body, n_body) : slice_of(word + used, len);
        used += len + 1;
    }
    bool ok = wire_send_words(&c->wire, words, n) || play_fail(p, "%s", c->wire.error);
    free(body);
    return ok;
}

static bool act_closed(struct play *p, struct connection *c, const char *text)
{
    (void)text;
    bool ok = wire_closed(&c->wire) || play_fail(p, "%s", c->wire.error);
    disconnect(c);
    return ok;
}

static bool act_hangup(struct play *p, struct connection *c, const char *text)
{
    (void)p;
    (void)text;
    disconnect(c);
    return true;
}

static bool act_half(struct play *p, struct connection *c, const char *text)
{
    (void)p;
    (void)text;
    wire_half_close(&c->wire);
    return true;
}

static bool act_silent(struct play *p, struct connection *c, const char *text)
{
    (void)text;
    return !wire_pending(&c->wire) || play_fail(p, "something came, or the connection was closed");
}

static bool act_resp(struct play *p, struct connection *c, const char *text)
{
    (void)p;
    c->version = text[0] == '3' ? 3 : 2;
    return true;
}

static bool act_kill(struct play *p, struct connection *c, const char *text)
{
    (void)c;
    (void)text;
    disconnect_all(p);
    (void)start_broker(p);
    spawn_kill(p->broker);
    spawn_again(p->broker);
    return true;
}

static bool act_restart(struct play *p, struct connection *c, const char *text)
{
    (void)c;
    (void)text;
    disconnect_all(p);
    (void)start_broker(p);
    int status = spawn_stop(p->broker);
    if (status != 0)
        return play_fail(p, "the broker ended with status %d on SIGTERM", status);
    spawn_again(p->broker);
    return true;
}

static bool act_ended(struct play *p, struct connection *c, const char *text)
{
    (void)c;
    int want = (int)strtol(text, NULL, 10);
    int status = spawn_wait(p->broker);
    disconnect_all(p);
    spawn_again(p->broker);
    return status == want || play_fail(p, "the broker ended with status %d, not %d", status, want);
}

struct action {
    const char *word;
    bool connects; /* works on a connection, which is opened where needed */
    bool (*act)(struct play *p, struct connection *c, const char *text);
};

static const struct action actions[] = {
    {">", true, act_send},
    {"<", true, act_expect},
    {"<~", true, act_until},
    {"!raw", true, act_raw},
    {"!slow", true, act_slow},
    {"!body", true, act_body},
    {"!closed", true, act_closed},
    {"!hangup", true, act_hangup},
    {"!half", true, act_half},
    {"!silent", true, act_silent},
    {"!resp", true, act_resp},
    {"!kill", false, act_kill},
    {"!restart", false, act_restart},
    {"!ended", false, act_ended},
};

static bool play_line(struct play *p, char *line)
{
    char name[32] = "main";
    size_t n = 0;
    while (isalnum((unsigned char)line[n]))
        n++;
    if (n > 0 && n < sizeof(name))
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, line);
    line += n;
    size_t word = strcspn(line, " ");
    const char *text = line + word + (line[word] == ' ');
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
        if (strlen(actions[i].word) != word || memcmp(actions[i].word, line, word) != 0)
            continue;
        struct connection *c = actions[i].connects ? connection(p, name) : NULL;
        if (actions[i].connects && !c)
            return play_fail(p, "connection %s cannot be opened", name);
        return actions[i].act(p, c, text);
    }
    return play_fail(p, "no such line in a transcript: %s", line);
}

/* Reads a line before the first command: flags for the broker, or the modes. False: it is neither. */
static bool header_line(struct play *p, char *line, bool *ret_meant)
{
    if (strncmp(line, "!modes ", 7) == 0) {
        *ret_meant = strstr(line + 7, script_mode_name(p->mode)) != NULL;
        return true;
    }
    if (strncmp(line, "!flags ", 7) != 0)
        return false;
    for (char *rest = NULL, *word = strtok_r(line + 7, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        if (p->n_flags < SPAWN_FLAGS_MAX)
            p->flags[p->n_flags++] = strdup(word);
    }
    return true;
}

static void play_end(struct play *p, enum script_result *result)
{
    disconnect_all(p);
    if (p->broker && *result == SCRIPT_FAILED)
        spawn_dump_log(p->broker);
    if (p->broker && *result == SCRIPT_PASSED) {
        int status = spawn_stop(p->broker);
        if (status != 0) {
            (void)play_fail(p, "the broker ended with status %d on SIGTERM", status);
            spawn_dump_log(p->broker);
            *result = SCRIPT_FAILED;
        }
    }
    spawn_free(p->broker);
    for (size_t i = 0; i < p->n_flags; i++)
        free((char *)p->flags[i]);
}

enum script_result script_play(const char *path, enum script_mode mode)
{
    static struct play p;
    static char line[LINE_MAX_BYTES];
    p = (struct play){.path = path, .mode = mode};
    FILE *f = fopen(path, "r");
    if (!f) {
        (void)play_fail(&p, "cannot be opened");
        return SCRIPT_FAILED;
    }
    enum script_result result = SCRIPT_PASSED;
    bool meant = true;
    while (result == SCRIPT_PASSED && meant && fgets(line, sizeof(line), f)) {
        p.line_number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#' || header_line(&p, line, &meant))
            continue;
        result = play_line(&p, line) ? SCRIPT_PASSED : SCRIPT_FAILED;
    }
    (void)fclose(f);
    if (!meant)
        result = SCRIPT_NOT_MEANT;
    play_end(&p, &result);
    return result;
}
