/* control.c: asks the server by hiredis, which no other file of the tester includes. */
#include "bench/run/control.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/base/units.h"
#include "bench/load/secure.h"
#include "bench/measure/machine.h"

#define TIMEOUT_US 400000
#define LINE_BYTES 128

struct control {
    const struct options *o;
    redisContext *redis;
    struct net_link link; /* TLS, which hiredis does not know; fd -1: plain */
    char why[HMQ_ERROR_TEXT_SIZE]; /* it is not connected; "": hiredis says it */
    int64_t last_ns;
    double last_cpu_s, last_syncs; /* -1: not known yet */
};

static void control_drop(struct control *c)
{
    if (c->redis && c->link.fd >= 0) {
        c->redis->fd = -1; /* the link closes it */
        net_close(&c->link);
    }
    if (c->redis)
        redisFree(c->redis);
    c->redis = NULL;
}

static const char *control_why(const struct control *c)
{
    return c->why[0] ? c->why : c->redis ? c->redis->errstr : "no memory";
}

static bool control_failed(struct control *c, const char *why)
{
    snprintf(c->why, sizeof c->why, "%s", why);
    control_drop(c);
    return false;
}

/* Shakes hands; hiredis makes and reads the bytes from then on, and does not send or receive them. */
static bool control_secure(struct control *c)
{
    hmq_error err;
    int fd = c->redis->fd;
    if (secure_open(&c->link, fd, c->o, &err))
        return true;
    c->redis->fd = -1; /* it was closed */
    return control_failed(c, err.text);
}

/* Over TLS: as redisCommandArgv. */
static redisReply *control_ask_secure(struct control *c, int words, const char **word)
{
    char *request = NULL, block[4096];
    void *reply = NULL;
    hmq_error err = {.text = "no memory"};
    long size = (long)redisFormatCommandArgv(&request, words, word, NULL);
    bool good = size > 0 && secure_send(&c->link, request, (size_t)size, &err);
    redisFreeCommand(request);
    while (good && !reply) {
        size_t n = secure_receive(&c->link, block, sizeof block, &err);
        good = n > 0 && redisReaderFeed(c->redis->reader, block, n) == REDIS_OK &&
               redisReaderGetReply(c->redis->reader, &reply) == REDIS_OK;
    }
    if (!good)
        (void)control_failed(c, err.text);
    return reply;
}

static redisReply *control_ask(struct control *c, int words, const char **word)
{
    return c->link.fd >= 0 ? control_ask_secure(c, words, word) : redisCommandArgv(c->redis, words, word, NULL);
}

static bool control_log_in(struct control *c)
{
    const char *password = c->o->password ? c->o->password : "";
    const char *both[] = {"AUTH", c->o->user, password}, *one[] = {"AUTH", password};
    if (!c->o->user[0] && !c->o->password)
        return true;
    redisReply *r = c->o->user[0] ? control_ask(c, 3, both) : control_ask(c, 2, one);
    bool good = r && r->type != REDIS_REPLY_ERROR;
    if (r && !good)
        (void)control_failed(c, r->str);
    if (r)
        freeReplyObject(r);
    return good;
}

static bool control_reach(struct control *c)
{
    struct timeval limit = {0, TIMEOUT_US};
    if (c->redis && !c->redis->err)
        return true;
    control_drop(c);
    c->why[0] = '\0';
    c->redis = redisConnectWithTimeout(c->o->host, (int)c->o->port, limit);
    return c->redis && !c->redis->err && redisSetTimeout(c->redis, limit) == REDIS_OK &&
           (!c->o->tls || control_secure(c)) && control_log_in(c);
}

struct control *control_open(const struct options *o, char *err, size_t err_size)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        snprintf(err, err_size, "no memory for a connection");
        return NULL;
    }
    c->o = o;
    c->link = NET_NONE;
    c->last_cpu_s = c->last_syncs = -1;
    if (control_reach(c))
        return c;
    snprintf(err, err_size, "no connection to %s port %d: %s; is it running?", o->host, (int)o->port, control_why(c));
    control_close(c);
    return NULL;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    control_drop(c);
    free(c);
}

/* Sends a command. Returns the reply, which the caller frees, or NULL and err. An error reply that begins with `fine`
 * is a reply too. */
static redisReply *control_say(struct control *c, int words, const char **word, const char *fine, char *err,
                               size_t err_size)
{
    redisReply *r = control_reach(c) ? control_ask(c, words, word) : NULL;
    if (!r) {
        snprintf(err, err_size, "%s was not answered: %s", word[0], control_why(c));
        return NULL;
    }
    if (r->type == REDIS_REPLY_ERROR && strncmp(r->str, fine, strlen(fine)) != 0) {
        snprintf(err, err_size, "%s %s was refused: %s", word[0], words > 1 ? word[1] : "", r->str);
        freeReplyObject(r);
        return NULL;
    }
    return r;
}

static bool control_done(redisReply *r)
{
    if (r)
        freeReplyObject(r);
    return r != NULL;
}

static bool control_prepare_redis(struct control *c, const struct options *o, bool from_end, char *err,
                                  size_t err_size)
{
    const char *create[] = {"XGROUP",  "CREATE", o->topic, o->group, from_end ? "$" : "0",
                            "MKSTREAM"};
    return control_done(control_say(c, 6, create, "BUSYGROUP", err, err_size));
}

#define GROUP_WORDS_MAX 16

/* Appends what --ordered, --filter and --rate-limit say. filter and rate: room for their words. */
static int control_put_group(const struct options *o, const char **word, int n, char *kind, size_t kind_size, char *rate,
                             size_t rate_size)
{
    size_t len = strcspn(o->filter, " ");
    if (o->ordered)
        word[n++] = "ORDERED";
    if (o->filter[0]) {
        snprintf(kind, kind_size, "%.*s", (int)len, o->filter);
        word[n++] = "FILTER";
        word[n++] = kind;
        word[n++] = o->filter + len + (o->filter[len] == ' ');
    }
    if (o->rate_limit > 0) {
        snprintf(rate, rate_size, "%llu", (unsigned long long)o->rate_limit);
        word[n++] = "RATE";
        word[n++] = rate;
    }
    return n;
}

/* Makes the group, or gives the one that exists these options. */
static bool control_prepare_group(struct control *c, const struct options *o, const char *from, char *err, size_t err_size)
{
    char kind[16], rate[24];
    const char *word[GROUP_WORDS_MAX] = {"GROUP", "CREATE", o->group, o->topic, "FROM", from};
    int n = control_put_group(o, word, 6, kind, sizeof kind, rate, sizeof rate);
    redisReply *r = control_say(c, n, word, "EXISTS", err, err_size);
    bool exists = r && r->type == REDIS_REPLY_ERROR;
    if (!control_done(r))
        return false;
    const char *set[GROUP_WORDS_MAX] = {"GROUP", "SET", o->group, o->topic};
    n = control_put_group(o, set, 4, kind, sizeof kind, rate, sizeof rate);
    return !exists || n == 4 || control_done(control_say(c, n, set, "", err, err_size));
}

bool control_prepare(struct control *c, const struct options *o, enum mode load, bool redis,
                     char *err, size_t err_size)
{
    char queues[24];
    bool both = load == MODE_e2e || load == MODE_verify;
    if (redis)
        return (!both && load != MODE_consume) || control_prepare_redis(c, o, both, err, err_size);
    const char *topic[7] = {"TOPIC", "CREATE", o->topic};
    bool chooses = o->ordered || o->filter[0] || o->rate_limit > 0;
    int words = 3;
    if (o->queues > 0) {
        snprintf(queues, sizeof queues, "%llu", (unsigned long long)o->queues);
        topic[words++] = "QUEUES";
        topic[words++] = queues;
    }
    if (o->compress[0]) {
        topic[words++] = "COMPRESS";
        topic[words++] = o->compress;
    }
    if ((both || words > 3) && !control_done(control_say(c, words, topic, "EXISTS", err, err_size)))
        return false;
    if (load == MODE_consume && chooses)
        return control_prepare_group(c, o, "earliest", err, err_size);
    return !both || control_prepare_group(c, o, "latest", err, err_size);
}

bool control_order_queues(struct control *c, const char *topic, uint32_t *ret_queues, char *err,
                          size_t err_size)
{
    const char *word[] = {"TOPIC", "INFO", topic};
    redisReply *r = control_say(c, 3, word, "", err, err_size);
    if (!r)
        return false;
    uint32_t n = 0;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2) {
        const redisReply *name = r->element[i], *value = r->element[i + 1];
        if (name->str && strcmp(name->str, "order_queues") == 0 && value->integer > 0)
            n = (uint32_t)value->integer;
    }
    freeReplyObject(r);
    if (n == 0)
        snprintf(err, err_size, "TOPIC INFO %s does not contain order_queues", topic);
    *ret_queues = n;
    return n > 0;
}

/* Finds `name:value` in the text of INFO; "" if it is not there. */
static const char *control_info_line(const char *control_info, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    out[0] = '\0';
    for (const char *line = control_info; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        size_t n = strcspn(line + len + 1, "\r\n");
        snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), line + len + 1);
        break;
    }
    return out;
}

static redisReply *control_info(struct control *c)
{
    const char *word[] = {"INFO"};
    char err[LINE_BYTES];
    redisReply *r = control_say(c, 1, word, "", err, sizeof err);
    if (r && (r->type != REDIS_REPLY_STRING || !r->str)) {
        freeReplyObject(r);
        return NULL;
    }
    return r;
}

static void control_copy_facts(const char *text, struct facts *f)
{
    static const char *const names[][2] = {{"version", "server_version"},
                                           {"redis_version", "server_version"},
                                           {"fsync", "server_fsync"},
                                           {"io_threads", "server_io_threads"},
                                           {"memory_budget", "server_memory"},
                                           {"uptime_in_seconds", "server_uptime_s"},
                                           {"data", "server_data"},
                                           {"aof_enabled", "server_aof"}};
    char value[FACT_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        facts_add(f, names[i][1], "%s", control_info_line(text, names[i][0], value, sizeof value));
}

/* Adds a setting from CONFIG GET, for what INFO does not contain. */
static void control_config_fact(struct control *c, const char *setting, const char *name, struct facts *f)
{
    const char *word[] = {"CONFIG", "GET", setting};
    char err[LINE_BYTES];
    redisReply *r = control_say(c, 3, word, "", err, sizeof err);
    if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 2 && r->element[1]->str)
        facts_add(f, name, "%s", r->element[1]->str);
    control_done(r);
}

static long control_pid_of(const char *text)
{
    char value[24];
    return strtol(control_info_line(text, "process_id", value, sizeof value), NULL, 10);
}

void control_facts(struct control *c, struct facts *f)
{
    redisReply *r = control_info(c);
    if (!r)
        return;
    char version[FACT_BYTES];
    bool is_redis = *control_info_line(r->str, "redis_version", version, sizeof version) != '\0';
    facts_add(f, "server", "%s", is_redis ? "Redis" : "HalfMQ");
    control_copy_facts(r->str, f);
    if (is_redis) {
        control_config_fact(c, "appendfsync", "server_fsync", f);
        control_config_fact(c, "dir", "server_data", f);
    }
    if (machine_is_here(c->o->host))
        machine_disk_facts(control_pid_of(r->str), facts_get(f, "server_data"), f);
    freeReplyObject(r);
}

static double control_number_of(const char *text, const char *name)
{
    char value[LINE_BYTES];
    control_info_line(text, name, value, sizeof value);
    return *value ? strtod(value, NULL) : -1;
}

/* Seconds of processor that the server has used, from INFO, or else from /proc if it is on this machine. */
static double control_cpu_seconds(struct control *c, const char *text)
{
    double user = control_number_of(text, "used_cpu_user"), sys = control_number_of(text, "used_cpu_sys");
    if (user >= 0 && sys >= 0)
        return user + sys;
    return machine_is_here(c->o->host) ? machine_cpu_seconds(control_pid_of(text)) : -1;
}

static double control_per_second(double now, double *last, double seconds)
{
    double before = *last;
    *last = now;
    return now < 0 || before < 0 || now < before || seconds <= 0 ? -1 : (now - before) / seconds;
}

void control_sample(struct control *c, int64_t now_ns, struct server_sample *ret_sample)
{
    redisReply *r = control_info(c);
    double seconds = (double)(now_ns - c->last_ns) / 1e9;
    *ret_sample = (struct server_sample){-1, -1, -1};
    if (!r)
        return;
    ret_sample->rss_bytes = control_number_of(r->str, "used_memory_rss");
    ret_sample->cpu_share = control_per_second(control_cpu_seconds(c, r->str), &c->last_cpu_s, seconds);
    ret_sample->syncs = control_per_second(control_number_of(r->str, "syncs"), &c->last_syncs, seconds);
    c->last_ns = now_ns;
    freeReplyObject(r);
}
