/* cell.c: dates, durations and other values as texts; see cell.h. */
#include "clients/cli/print/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/base/text.h"

#define TIME_MS_MIN 1000000000000 /* in 2001; a smaller number under such a name is a duration */

static const char *const cell_times[] = {"born",       "stored", "expires", "lease_until", "created", "next_check", "at",
                                         "decided",    "due",    "died",    "last_seen",   "time",    "timeout", "oldest"};
static const char *const cell_durations[] = {"lease", "retention", "oldest_ms",  "oldest",   "ttl",     "delay", "left",
                                             "in",    "checkin",   "checkevery", "lease_ms", "backoff", "timeout"};

static bool cell_named(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

#define NAMED(name, names) cell_named(name, names, sizeof(names) / sizeof *(names))

bool cell_is_number(const cJSON *item)
{
    return cJSON_IsNumber(item) || cJSON_IsRaw(item);
}

bool cell_stays_number(const char *name, const cJSON *item)
{
    return cell_is_number(item) && !NAMED(name, cell_times);
}

void cell_duration(int64_t ms, char *out, size_t size)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    const char *sign = ms < 0 ? "-" : "";
    ms = ms < 0 ? -ms : ms;
    if (ms < 1000 && ms > 0)
        snprintf(out, size, "%s%" PRId64 "ms", sign, ms);
    else if (ms < 60000 && ms % 1000 != 0)
        snprintf(out, size, "%s%" PRId64 ".%" PRId64 "s", sign, ms / 1000, ms % 1000 / 100);
    else if (ms < 60000)
        snprintf(out, size, "%s%" PRId64 "s", sign, ms / 1000);
    for (size_t i = 0; i + 1 < sizeof units / sizeof *units && ms >= 60000; i++) {
        if (ms < units[i].ms)
            continue;
        int64_t big = ms / units[i].ms, small = ms % units[i].ms / units[i + 1].ms;
        if (small)
            snprintf(out, size, "%s%" PRId64 "%s %" PRId64 "%s", sign, big, units[i].name, small, units[i + 1].name);
        else
            snprintf(out, size, "%s%" PRId64 "%s", sign, big, units[i].name);
        return;
    }
}

static bool cell_date(int64_t ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char date[64];
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return false;
    snprintf(out, size, "%s.%03dZ", date, (int)(ms % 1000));
    return true;
}

static void cell_number(const char *name, const char *digits, char *out, size_t size)
{
    int64_t ms;
    if (text_int(slice_str(digits), &ms)) {
        if (NAMED(name, cell_times) && ms >= TIME_MS_MIN && cell_date(ms, out, size))
            return;
        if (NAMED(name, cell_durations)) {
            cell_duration(ms, out, size);
            return;
        }
    }
    snprintf(out, size, "%s", digits);
}

static void cell_list(const char *name, const cJSON *item, char *out, size_t size)
{
    size_t at = 0;
    for (const cJSON *i = item->child; i && at + 1 < size; i = i->next) {
        char one[CELL_BYTES];
        cell_text(name, i, one, sizeof one);
        int n = snprintf(out + at, size - at, "%s%s", at ? ", " : "", one);
        at += n > 0 ? (size_t)n : 0;
    }
}

void cell_text(const char *name, const cJSON *item, char *out, size_t size)
{
    out[0] = '\0';
    if (cJSON_IsString(item)) {
        snprintf(out, size, "%s", item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        cell_number(name, item->valuestring, out, size);
    } else if (cJSON_IsArray(item) && !cJSON_IsObject(item->child)) {
        cell_list(name, item, out, size);
    } else if (!cJSON_IsNull(item)) {
        char *text = cJSON_PrintUnformatted(item);
        snprintf(out, size, "%s", text ? text : "");
        cJSON_free(text);
    }
}
