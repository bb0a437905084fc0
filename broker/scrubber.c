/* scrubber.c: paces store_scrub over the interval, and keeps its place (scrubber.h). */
#include "broker/scrubber.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/server_inner.h"
#include "protocol/limits.h"
#include "storage/check/scrub.h"

#define NICE 19
#define PIECE_BYTES MIB(1)
#define NAP_MIN_MS 20       /* between two pieces, however short the interval is */
#define NAP_MAX_MS 60000
#define OFF_LOOK_MS 1000    /* while it is off: is it on by now? */
#define KEEP_MS 60000       /* between two times that the place is kept */

struct scrubber {
    struct server *server;
    pthread_t thread;
    struct scrub_place at;
    char path[PATH_MAX];
    int64_t kept_ms;
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    struct scrubber_figures figures;
};

/* ---- the place over a restart ---- */

static void scrubber_read_place(struct scrubber *c)
{
    char text[200] = "";
    unsigned queue = 0;
    unsigned long long offset = 0;
    int fd = open(c->path, O_RDONLY | O_CLOEXEC), used = 0;
    bool ours = fd >= 0 && fchmod(fd, 0600) == 0; /* others may not read it, whatever its mode was */
    ssize_t n = ours ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || sscanf(text, "%9u %18llu %n", &queue, &offset, &used) != 2 || used == 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    if (strlen(text + used) >= sizeof c->at.topic)
        return;
    c->at.queue = queue;
    c->at.offset = offset;
    memcpy(c->at.topic, text + used, strlen(text + used) + 1);
}

/* Not synced: after a power cut it begins earlier, or at the beginning. */
static void scrubber_keep_place(struct scrubber *c)
{
    char text[200];
    int n = snprintf(text, sizeof text, "%u %llu %s\n", c->at.queue, (unsigned long long)c->at.offset, c->at.topic);
    int fd = open(c->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, text, (size_t)n) != n)
        log_text(LOG_DEBUG, "the place of the scrub cannot be kept");
    close(fd);
}

/* ---- the thread ---- */

static bool scrubber_waits(struct scrubber *c, int64_t ms)
{
    int64_t end_ns = clock_mono_ns() + ms * 1000000;
    pthread_mutex_lock(&c->lock);
    for (int64_t left = ms; !c->stopping && left > 0; left = (end_ns - clock_mono_ns()) / 1000000)
        clock_wait(&c->wake, &c->lock, left);
    bool goes_on = !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

/* How long to sleep behind so many bytes, of a store that has all of these. */
static int64_t scrubber_nap_ms(const struct scrubber *c, int64_t interval_ms, const struct scrub_step *step)
{
    uint64_t all = store_record_bytes(c->server->store);
    all = all > step->bytes ? all : step->bytes + 1;
    double nap = (double)interval_ms * (double)step->bytes / (double)all;
    nap = step->over ? (double)interval_ms : nap;
    return nap > NAP_MAX_MS ? NAP_MAX_MS : nap < NAP_MIN_MS ? NAP_MIN_MS : (int64_t)nap;
}

static void scrubber_count(struct scrubber *c, const struct scrub_step *step)
{
    pthread_mutex_lock(&c->lock);
    c->figures.records += step->records;
    c->figures.bytes += step->bytes;
    c->figures.rounds += step->over;
    if (step->over)
        c->figures.last_ms = clock_wall_ms();
    pthread_mutex_unlock(&c->lock);
}

static void *scrubber_run(void *arg)
{
    struct scrubber *c = arg;
    int64_t nap_ms = NAP_MIN_MS;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* Linux keeps it for each thread */
    while (scrubber_waits(c, nap_ms)) {
        struct scrub_step step = {0};
        int64_t interval_ms = settings_num(c->server->settings, SET_scrub_interval), now_ms = clock_mono_ns() / 1000000;
        nap_ms = OFF_LOOK_MS;
        if (interval_ms == 0)
            continue;
        if (store_scrub(c->server->store, &c->at, PIECE_BYTES, &step) != ST_OK)
            continue; /* it may pass: no memory, or no descriptor */
        scrubber_count(c, &step);
        nap_ms = scrubber_nap_ms(c, interval_ms, &step);
        if (now_ms - c->kept_ms >= KEEP_MS || step.over) {
            c->kept_ms = now_ms;
            scrubber_keep_place(c);
        }
    }
    scrubber_keep_place(c);
    return NULL;
}

struct scrubber *scrubber_new(struct server *s)
{
    struct scrubber *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = s;
    int n = snprintf(c->path, sizeof c->path, "%s/scrub", settings_text(s->settings, SET_data));
    pthread_mutex_init(&c->lock, NULL);
    bool made = n > 0 && n < PATH_MAX && clock_cond_new(&c->wake);
    if (made) {
        scrubber_read_place(c);
        if (pthread_create(&c->thread, NULL, scrubber_run, c) == 0)
            return c;
        pthread_cond_destroy(&c->wake);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
    return NULL;
}

void scrubber_free(struct scrubber *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void scrubber_figures(struct scrubber *c, struct scrubber_figures *ret_figures)
{
    *ret_figures = (struct scrubber_figures){0};
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    *ret_figures = c->figures;
    pthread_mutex_unlock(&c->lock);
}
