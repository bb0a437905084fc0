/*
 * log.c: writes each event as one line with one write(2), so that lines of several threads do not mix.
 *
 *   event ──► level? ──► repeated? ──► line on the stack, at most 2 KiB ──► standard error
 *                            └─ counted in its slot; logged with the next line after that second
 *
 * The same message is known by the address of its constant text, which costs one compare. There are few slots: when all
 * are taken, the message that was not logged for the longest time loses its slot, and its repeats are counted from
 * nothing again. When the log cannot be written the line is lost, and the broker goes on.
 */
#include "broker/base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 2048
#define SLOTS 32
#define REPEATS_A_SECOND 10

struct log_slot {
    const char *msg; /* NULL: free */
    time_t second;   /* monotonic; when counting began */
    unsigned seen;   /* lines of that second */
    unsigned suppressed;
    enum log_level level;
};

static _Atomic int lowest = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_slot slots[SLOTS]; /* guarded by lock */

static const char *const level_words[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error",
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

static void log_write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

/* Puts "ts=... level=... msg=..." into out. Returns how many bytes. */
static size_t log_begin_line(char *out, size_t size, enum log_level level, const char *msg)
{
    char stamp[32] = "";
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(out, size, "ts=%s.%03ldZ level=%s msg=\"%s\"", stamp, now.tv_nsec / 1000000,
                     level_words[level], msg);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* Ends the line and writes it. Control bytes become blanks: a value that was not quoted must not end the line. */
static void log_end_line(char *line, size_t len, size_t size)
{
    static const char cut[] = "...";
    if (len + 2 > size) {
        len = size - 2;
        memcpy(line + len - (sizeof cut - 1), cut, sizeof cut - 1);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    }
    line[len] = '\n';
    log_write_line(line, len + 1);
}

static void log_tell_suppressed(const struct log_slot *s)
{
    char line[LINE_BYTES_MAX];
    size_t len = log_begin_line(line, sizeof line, s->level, s->msg);
    int n = snprintf(line + len, sizeof line - len, " suppressed=%u", s->suppressed);
    log_end_line(line, n > 0 ? len + (size_t)n : len, sizeof line);
}

/* The slot of msg, or else the one to take for it. Logs what was suppressed in slots whose second is over. */
static struct log_slot *log_slot_of(const char *msg, time_t second)
{
    struct log_slot *own = NULL, *oldest = &slots[0];
    for (unsigned i = 0; i < SLOTS; i++) {
        struct log_slot *s = &slots[i];
        if (s->suppressed > 0 && s->second != second) {
            log_tell_suppressed(s);
            s->suppressed = 0;
        }
        if (s->msg == msg)
            own = s;
        if (!s->msg || (oldest->msg && s->second < oldest->second))
            oldest = s;
    }
    return own ? own : oldest;
}

/* False: there were enough lines of this kind in this second; this one was counted instead. */
static bool log_admit(enum log_level level, const char *msg)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&lock);
    struct log_slot *s = log_slot_of(msg, now.tv_sec);
    if (s->msg != msg || s->second != now.tv_sec) {
        if (s->suppressed > 0)
            log_tell_suppressed(s);
        *s = (struct log_slot){.msg = msg, .second = now.tv_sec};
    }
    s->level = level;
    bool admitted = s->seen < REPEATS_A_SECOND;
    if (admitted)
        s->seen++;
    else
        s->suppressed++;
    pthread_mutex_unlock(&lock);
    return admitted;
}

static void log_line(enum log_level level, const char *msg, const char *fmt, va_list ap)
{
    char line[LINE_BYTES_MAX];
    size_t len = log_begin_line(line, sizeof line, level, msg);
    int n = vsnprintf(line + len, sizeof line - len, fmt, ap);
    log_end_line(line, n > 0 ? len + (size_t)n : len, sizeof line);
}

static bool log_wanted(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

void log_event(enum log_level level, const char *msg, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (log_wanted(level) && log_admit(level, msg))
        log_line(level, msg, fmt, ap);
    va_end(ap);
}

void log_each(enum log_level level, const char *msg, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (log_wanted(level))
        log_line(level, msg, fmt, ap);
    va_end(ap);
}

void log_text(enum log_level level, const char *msg)
{
    log_event(level, msg, "%s", "");
}

/* May the value stand without quotes, as its end is plain to see? */
static bool log_bare(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        unsigned char b = (unsigned char)*text;
        if (b <= 0x20 || b == 0x7f || b == '"' || b == '=' || b == '\\')
            return false;
    }
    return true;
}

/* Puts one byte into out (5 bytes at least) as it stands inside quotes. Returns how many bytes. */
static unsigned log_escape(unsigned char b, char *out)
{
    if (b == '"' || b == '\\')
        return (unsigned)snprintf(out, 5, "\\%c", b);
    if (b == '\n')
        return (unsigned)snprintf(out, 5, "\\n");
    if (b < 0x20 || b == 0x7f)
        return (unsigned)snprintf(out, 5, "\\x%02x", b);
    return (unsigned)snprintf(out, 5, "%c", b);
}

const char *log_quote(const char *text, char *out, unsigned out_size)
{
    assert(out_size >= 3);
    if (log_bare(text) && strlen(text) < out_size) {
        memcpy(out, text, strlen(text) + 1);
        return out;
    }
    unsigned len = 0;
    out[len++] = '"';
    for (; *text; text++) {
        char one[5];
        unsigned n = log_escape((unsigned char)*text, one);
        if (len + n + 2 > out_size)
            break;
        memcpy(out + len, one, n);
        len += n;
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}
