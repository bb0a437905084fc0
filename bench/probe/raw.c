/*
 * raw.c: halfmq-rawdb, which measures what the disk and RocksDB can do without a broker: the reference for the ratios in
 * bench/README.md.
 *
 *   halfmq-rawdb batch --data F    a WriteBatch with one value of --messages messages of --size bytes
 *                                  (and 10 more, as a log needs), synced; again for --duration
 *   halfmq-rawdb fsync --data F    appends 4 KiB to a file and calls fdatasync; again for --duration
 *   halfmq-rawdb group --data F --rate R
 *                                  messages arrive evenly, R a second; all that have arrived are
 *                                  appended in one write and synced (group_commit.h)
 *
 * The first two are closed loops: they measure how long a sync takes, and a stall counts once. The third measures how
 * long messages wait at a rate, each from its intended start; only this may be compared with the latency of an open
 * loop.
 *
 * Prints one line of JSON. The store's settings are those that suit such a load (no compression, 64 MiB
 * write buffers, values in blob files, as in storage/disk/kv.c): a reference with worse settings would make the broker
 * look better than it is. `--sync no` leaves the sync out.
 *
 * It is the only program besides storage/disk/kv.c that uses RocksDB directly, because it must measure it without our
 * own code in between.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/base/chance.h"
#include "bench/base/mono.h"
#include "bench/base/units.h"
#include "bench/measure/hist.h"
#include "bench/probe/group_commit.h"
#include "protocol/limits.h"

#define OVERHEAD_BYTES 10
#define FSYNC_BYTES 4096
#define VALUE_BYTES_MAX MIB(64)
#define KEY_BYTES 8

struct raw {
    const char *mode, *data;
    uint64_t messages, size;
    int64_t duration_ns;
    double rate;
    bool sync, overwrite;
    uint8_t *bytes; /* what is written */
    size_t len;
    struct hist took;
    uint64_t times;
    uint64_t carried; /* messages in all of them */
    uint64_t most; /* in one; group only */
    int64_t elapsed_ns;
};

struct raw_mode {
    const char *name;
    bool (*fits)(const struct raw *r); /* what was asked for is possible */
    bool (*run)(struct raw *r);
};

static const char HELP[] =
    "Usage: halfmq-rawdb batch|fsync|group --data FOLDER [--messages 1000] [--size 100]\n"
    "                    [--duration 5s] [--sync yes|no] [--rate N] [--overwrite]\n"
    "\n"
    "What the disk and the store can do without a broker; one line of JSON.\n"
    "  batch   one value of --messages messages a synced RocksDB WriteBatch\n"
    "  fsync   4 KiB appended to a file and fdatasync, one after the other\n"
    "  group   --rate messages a second arrive, evenly; all that have arrived are appended in one\n"
    "          write, --size and 32 bytes each (at most 16 MiB), and one fdatasync; latency is "
    "that\n"
    "          of each message from its intended start. --overwrite: into 64 MiB that were "
    "written\n"
    "          and synced before, round and round, instead of a growing file\n";

static int raw_usage(void)
{
    fputs(HELP, stderr);
    return 2;
}

static int raw_fail(const char *doing, const char *why)
{
    fprintf(stderr, "halfmq-rawdb: %s: %s\n", doing, why);
    return 1;
}

static bool raw_take_flag(struct raw *r, const char *flag, const char *value)
{
    if (strcmp(flag, "--data") == 0) {
        r->data = value;
        return true;
    }
    if (strcmp(flag, "--messages") == 0)
        return units_count(value, &r->messages) && r->messages > 0;
    if (strcmp(flag, "--size") == 0)
        return units_size(value, &r->size) && r->size > 0;
    if (strcmp(flag, "--rate") == 0)
        return units_rate(value, &r->rate);
    if (strcmp(flag, "--duration") == 0)
        return units_duration(value, &r->duration_ns);
    if (strcmp(flag, "--sync") == 0) {
        r->sync = strcmp(value, "yes") == 0;
        return r->sync || strcmp(value, "no") == 0;
    }
    return false;
}

static bool raw_parse(int argc, char **argv, struct raw *r)
{
    *r = (struct raw){.messages = 1000, .size = 100, .duration_ns = 5 * NS_PER_S, .sync = true};
    if (argc < 2)
        return false;
    r->mode = argv[1];
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--overwrite") == 0) {
            r->overwrite = true;
            continue;
        }
        if (i + 1 >= argc || !raw_take_flag(r, argv[i], argv[i + 1]))
            return false;
        i++;
    }
    return r->data;
}

/* Fills the data with random bytes, which no layer below can compress. */
static bool raw_fill(struct raw *r, size_t len)
{
    r->bytes = malloc(len);
    r->len = len;
    if (!r->bytes || !hist_init(&r->took))
        return false;
    struct chance c = chance_from(1, 1);
    for (size_t i = 0; i < len; i++)
        r->bytes[i] = (uint8_t)chance_next(&c);
    return true;
}

/* Calls step again and again until the time is over. False: step failed and has reported why. */
static bool raw_repeat(struct raw *r, bool (*step)(struct raw *r, void *arg), void *arg)
{
    int64_t began = mono_ns(), now = began;
    while (now - began < r->duration_ns) {
        int64_t before = now;
        if (!step(r, arg))
            return false;
        now = mono_ns();
        hist_record(&r->took, now - before, 1);
        r->times++;
        r->carried += r->messages;
    }
    r->elapsed_ns = now - began;
    return true;
}

/* ---- batch ---- */

struct raw_store {
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_t *db;
};

static bool raw_store_open(struct raw_store *s, const struct raw *r)
{
    char *failure = NULL;
    s->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(s->options, 1);
    rocksdb_options_set_compression(s->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(s->options, MIB(64));
    rocksdb_options_set_max_write_buffer_number(s->options, 3);
    rocksdb_options_set_bytes_per_sync(s->options, MIB(1));
    rocksdb_options_set_enable_blob_files(s->options, 1);
    rocksdb_options_set_max_background_jobs(s->options, 2);
    s->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(s->write, r->sync);
    s->db = rocksdb_open(s->options, r->data, &failure);
    if (failure) {
        raw_fail(r->data, failure);
        rocksdb_free(failure);
    }
    return s->db != NULL;
}

static void raw_store_close(struct raw_store *s)
{
    if (s->db)
        rocksdb_close(s->db);
    rocksdb_writeoptions_destroy(s->write);
    rocksdb_options_destroy(s->options);
}

static bool raw_write_batch(struct raw *r, void *arg)
{
    struct raw_store *s = arg;
    char key[KEY_BYTES], *failure = NULL;
    for (int i = 0; i < KEY_BYTES; i++)
        key[i] = (char)(r->times >> (8 * (KEY_BYTES - 1 - i)));
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_writebatch_put(batch, key, sizeof key, (const char *)r->bytes, r->len);
    rocksdb_write(s->db, s->write, batch, &failure);
    rocksdb_writebatch_destroy(batch);
    if (failure) {
        raw_fail("writing", failure);
        rocksdb_free(failure);
    }
    return !failure;
}

static bool raw_batch_fits(const struct raw *r)
{
    return r->size <= VALUE_BYTES_MAX &&
           r->messages <= VALUE_BYTES_MAX / (r->size + OVERHEAD_BYTES);
}

static bool raw_run_batch(struct raw *r)
{
    struct raw_store s = {0};
    bool ok = raw_fill(r, (size_t)(r->messages * (r->size + OVERHEAD_BYTES))) && raw_store_open(&s, r) &&
              raw_repeat(r, raw_write_batch, &s);
    if (s.options)
        raw_store_close(&s);
    return ok;
}

/* ---- fsync ---- */

static bool raw_append(struct raw *r, void *arg)
{
    int fd = *(int *)arg;
    if (write(fd, r->bytes, r->len) != (ssize_t)r->len || (r->sync && fdatasync(fd) != 0)) {
        raw_fail("writing", strerror(errno));
        return false;
    }
    return true;
}

static bool raw_fsync_fits(const struct raw *r)
{
    (void)r; /* it has fixed sizes */
    return true;
}

static bool raw_run_fsync(struct raw *r)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/fsync.bin", r->data);
    r->messages = 1;
    r->size = FSYNC_BYTES;
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) {
        raw_fail(path, strerror(errno));
        return false;
    }
    bool ok = raw_fill(r, FSYNC_BYTES) && raw_repeat(r, raw_append, &fd);
    close(fd);
    unlink(path);
    return ok;
}

/* ---- group ---- */

static bool raw_group_fits(const struct raw *r)
{
    return r->rate > 0 && r->rate <= GROUP_COMMIT_RATE_MAX &&
           r->size <= GROUP_COMMIT_TURN_BYTES - GROUP_COMMIT_OVERHEAD;
}

static bool raw_run_group(struct raw *r)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/group.bin", r->data);
    if (!raw_fill(r, GROUP_COMMIT_TURN_BYTES))
        return false;
    struct group_commit g = {.path = path,
                             .bytes = r->bytes,
                             .per_s = r->rate,
                             .size = r->size,
                             .duration_ns = r->duration_ns,
                             .sync = r->sync,
                             .overwrite = r->overwrite,
                             .took = &r->took};
    if (!group_commit_run(&g)) {
        raw_fail(path, strerror(errno));
        return false;
    }
    r->times = g.turns;
    r->carried = g.messages;
    r->most = g.most;
    r->elapsed_ns = g.elapsed_ns;
    return true;
}

/* ---- all ---- */

/* Adds a number with one decimal. */
static bool raw_put(cJSON *o, const char *name, double v)
{
    return cJSON_AddNumberToObject(o, name, round(v * 10) / 10) != NULL;
}

static bool raw_put_latency(cJSON *root, const struct hist *h)
{
    static const struct {
        const char *name;
        double share;
    } shown[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    cJSON *o = cJSON_AddObjectToObject(root, "latency_us");
    bool ok = o != NULL;
    for (size_t i = 0; ok && i < sizeof shown / sizeof *shown; i++)
        ok = raw_put(o, shown[i].name, (double)hist_quantile(h, shown[i].share) / 1e3);
    return ok && raw_put(o, "max", (double)h->max / 1e3);
}

static bool raw_print(const struct raw *r)
{
    double s = (double)r->elapsed_ns / (double)NS_PER_S;
    cJSON *o = cJSON_CreateObject();
    bool ok = o && cJSON_AddStringToObject(o, "mode", r->mode) && cJSON_AddBoolToObject(o, "sync", r->sync);
    if (r->most > 0)
        ok = ok && raw_put(o, "rate", r->rate) && cJSON_AddBoolToObject(o, "overwrite", r->overwrite) &&
             raw_put(o, "most_at_once", (double)r->most);
    ok = ok && raw_put(o, "times", (double)r->times) && raw_put(o, "messages", (double)r->carried) &&
         cJSON_AddNumberToObject(o, "elapsed_s", s) && raw_put(o, "per_s", (double)r->times / s) &&
         raw_put(o, "messages_per_s", (double)r->carried / s) && raw_put_latency(o, &r->took);
    char *line = ok ? cJSON_PrintUnformatted(o) : NULL;
    if (line)
        puts(line);
    else
        raw_fail("printing the result", "no memory");
    cJSON_free(line);
    cJSON_Delete(o);
    return line != NULL;
}

static const struct raw_mode MODES[] = {
    {"batch", raw_batch_fits, raw_run_batch},
    {"fsync", raw_fsync_fits, raw_run_fsync},
    {"group", raw_group_fits, raw_run_group},
};

static const struct raw_mode *raw_mode_of(const char *name)
{
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(MODES[i].name, name) == 0)
            return &MODES[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct raw r;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(HELP, stdout);
        return 0;
    }
    if (!raw_parse(argc, argv, &r))
        return raw_usage();
    const struct raw_mode *mode = raw_mode_of(r.mode);
    if (!mode || !mode->fits(&r))
        return raw_usage();
    bool ok = mode->run(&r) && r.times > 0;
    ok = ok && raw_print(&r);
    hist_fini(&r.took);
    free(r.bytes);
    return ok ? 0 : 1;
}
