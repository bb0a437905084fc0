/*
 * consuming.c: the programs of docs/consuming.md, with libhalfmq.
 *
 *   work GROUP TOPIC            handles messages until none has come for two seconds
 *   accounts TOPIC              an ORDERED group, and updates of two accounts
 *   shave TOPIC, level TOPIC    a burst of 300 orders; takes them at the pace of the database
 *   mail TOPIC, repair GROUP    a group that gives up after three attempts; gives its dead letters back
 *   remind TOPIC TEXT SECONDS   a message that comes later
 *   canary TOPIC                one group for the new version, one for the old
 *   replay GROUP TOPIC MS       handles again what was stored since this Unix time, in milliseconds
 */
#include <halfmq.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static hmq_client *client;
static hmq_error err;

/* Ends the program where something did not work. */
static void must(enum hmq_status status)
{
    if (status == HMQ_OK)
        return;
    fprintf(stderr, "consuming: %s\n", err.text);
    exit(EXIT_FAILURE);
}

static void send(const char *topic, const char *body, const hmq_send_options *options, char *ret_id)
{
    hmq_producer *producer = NULL;
    must(hmq_producer_new(client, NULL, &producer, &err));
    must(hmq_send(producer, topic, body, strlen(body), options, HMQ_DEFAULT, ret_id, &err));
    must(hmq_producer_close(producer, HMQ_DEFAULT, &err));
}

struct worker {
    _Atomic unsigned calls;
    int64_t times[1000]; /* of deliveries */
};

/* What your service does. It cannot read some bodies until somebody has mended it. */
static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct worker *w = arg;
    const char *body = hmq_message_body(m, NULL);
    atomic_fetch_add(&w->calls, 1);
    if (strncmp(body, "bad", 3) == 0 && !getenv("MENDED")) {
        snprintf(retry->reason, sizeof retry->reason, "cannot read it");
        return HMQ_NACK;
    }
    printf("%s\n", body);
    fflush(stdout);
    return HMQ_ACK;
}

/* Consumes until nothing has come for two seconds. */
static void consume(const char *group, const char *topic, hmq_message_fn handler, struct worker *w)
{
    hmq_consumer *consumer = NULL;
    hmq_options *options = hmq_options_new();
    unsigned seen, calls = 0;
    must(hmq_options_set(options, "lease_ms", "60000", &err));
    must(hmq_options_set(options, "workers", "4", &err));
    must(hmq_options_set(options, "ordered", strcmp(group, "bank") == 0 ? "yes" : "no", &err));
    must(hmq_consumer_new(client, group, &topic, 1, handler, w, options, &consumer, &err));
    do {
        seen = calls;
        nanosleep(&(struct timespec){2, 0}, NULL);
        calls = atomic_load(&w->calls);
    } while (calls > seen);
    must(hmq_consumer_close(consumer, HMQ_DEFAULT, &err));
    hmq_options_free(options);
}

static void work(char **words)
{
    static struct worker w;
    consume(words[0], words[1], handle, &w);
}

static void accounts(char **words)
{
    static const char *const names[] = {"ann", "bob"};
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char body[32];
    s.ordered = 1;
    must(hmq_topic_create(client, words[0], NULL, HMQ_DEFAULT, &err));
    must(hmq_group_create(client, "bank", words[0], NULL, &s, HMQ_DEFAULT, &err));
    for (int number = 1; number <= 5; number++) {
        for (int i = 0; i < 2; i++) {
            snprintf(body, sizeof body, "%s %d", names[i], number);
            o.order = names[i];
            send(words[0], body, &o, NULL);
        }
    }
}

static void shave(char **words)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_producer *producer = NULL;
    s.rate = 100;
    s.inflight = 50;
    must(hmq_topic_create(client, words[0], NULL, HMQ_DEFAULT, &err));
    must(hmq_group_create(client, "database", words[0], NULL, &s, HMQ_DEFAULT, &err));
    must(hmq_producer_new(client, NULL, &producer, &err));
    for (int number = 0; number < 300; number++)
        must(hmq_send_async(producer, words[0], "order", 5, NULL, HMQ_DEFAULT, NULL, NULL, &err));
    must(hmq_producer_close(producer, HMQ_DEFAULT, &err));
}

static enum hmq_verdict note_time(void *arg, const hmq_message *m, hmq_retry *retry)
{
    struct worker *w = arg;
    (void)retry;
    w->times[atomic_fetch_add(&w->calls, 1)] = hmq_message_lease_until_ms(m) - 60000;
    return HMQ_ACK;
}

static void level(char **words)
{
    static struct worker w;
    unsigned most = 0;
    consume("database", words[0], note_time, &w);
    for (unsigned i = 0; i < w.calls; i++) {
        unsigned n = 0;
        for (unsigned k = 0; k < w.calls; k++)
            n += w.times[k] >= w.times[i] && w.times[k] < w.times[i] + 1000;
        most = n > most ? n : most;
    }
    printf("%u orders, never more than 100 in a second: %s\n", w.calls, most <= 100 ? "True" : "False");
}

static void mail(char **words)
{
    const int64_t pauses[] = {100, 200};
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    s.attempts = 3;
    s.backoff_ms = pauses;
    s.n_backoff_ms = 2;
    must(hmq_topic_create(client, words[0], NULL, HMQ_DEFAULT, &err));
    must(hmq_group_create(client, "postman", words[0], NULL, &s, HMQ_DEFAULT, &err));
    send(words[0], "ann", NULL, NULL);
    send(words[0], "bad address", NULL, NULL);
    send(words[0], "bob", NULL, NULL);
}

static void repair(char **words)
{
    char cursor[HMQ_CURSOR_SIZE] = "";
    hmq_batch *letters = NULL;
    uint64_t count = 0;
    do {
        must(hmq_dlq_list(client, words[0], 0, cursor, HMQ_DEFAULT, &letters, &err));
        for (size_t i = 0; i < hmq_batch_count(letters); i++) {
            const hmq_message *m = hmq_batch_at(letters, i);
            printf("%s: %s, after %" PRIu32 " attempts\n", (const char *)hmq_message_body(m, NULL),
                   hmq_message_reason(m), hmq_message_attempts(m));
        }
        hmq_batch_free(letters);
    } while (*cursor);
    must(hmq_dlq_redrive(client, words[0], 0, HMQ_DEFAULT, &count, &err));
    printf("%" PRIu64 " given back\n", count);
}

static void remind(char **words)
{
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char token[HMQ_ID_SIZE];
    o.delay_ms = atoll(words[2]) * 1000;
    send(words[0], words[1], &o, token);
    puts(token);
}

static void canary(char **words)
{
    hmq_group_settings s = HMQ_GROUP_SETTINGS;
    hmq_send_options o = HMQ_SEND_OPTIONS;
    char body[32];
    must(hmq_topic_create(client, words[0], NULL, HMQ_DEFAULT, &err));
    s.filter_kind = HMQ_FILTER_TAG;
    s.filter = "canary";
    must(hmq_group_create(client, "new", words[0], NULL, &s, HMQ_DEFAULT, &err));
    s.filter_kind = HMQ_FILTER_WHERE;
    s.filter = "tag IS NULL OR tag <> 'canary'";
    must(hmq_group_create(client, "old", words[0], NULL, &s, HMQ_DEFAULT, &err));
    for (int number = 1; number <= 6; number++) {
        snprintf(body, sizeof body, "visit %d", number);
        o.tag = number % 3 == 0 ? "canary" : "all";
        send(words[0], body, &o, NULL);
    }
}

static void replay(char **words)
{
    hmq_position since = {.place = HMQ_AT_TIME, .time_ms = atoll(words[2])};
    hmq_reply *would = NULL;
    must(hmq_group_seek_dry_run(client, words[0], words[1], &since, HMQ_DEFAULT, &would, &err));
    printf("%" PRId64 " messages since %s\n", hmq_reply_int(hmq_reply_get(would, "ready"), 0), words[2]);
    hmq_reply_free(would);
    must(hmq_group_seek(client, words[0], words[1], &since, HMQ_DEFAULT, &err));
}

static const struct {
    const char *name;
    int n_words;
    void (*run)(char **words);
} commands[] = {{"work", 2, work},     {"accounts", 1, accounts}, {"shave", 1, shave},
                {"level", 1, level},   {"mail", 1, mail},         {"repair", 1, repair},
                {"remind", 3, remind}, {"canary", 1, canary},     {"replay", 3, replay}};

int main(int argc, char **argv)
{
    must(hmq_client_open(NULL, &client, &err));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc == commands[i].n_words + 2 && strcmp(argv[1], commands[i].name) == 0) {
            commands[i].run(argv + 2);
            hmq_client_free(client);
            return EXIT_SUCCESS;
        }
    }
    fprintf(stderr, "consuming: no such command, or not its words\n");
    return 2;
}
