/*
 * fake.h: a fake broker for libhalfmq: a listening socket on which the test sends whatever it wants, also what a
 * real broker would not send. fake_start and fake_stop are a cmocka fixture.
 */
#ifndef HALFMQ_TESTS_FAKE_H
#define HALFMQ_TESTS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "protocol/rpc/rpc.h"
#include "tests/lib/rig.h"

struct fake_events {
    _Atomic unsigned connected, disconnected, failed, trouble;
};

struct fake {
    int listener, fd;
    uint16_t port;
    struct rpc_reader *reader;
    struct buf in;
    struct rpc_frame frame; /* the last one read, and its length, still in `in` */
    size_t used;
    struct fake_events events;
};

struct fake_result {
    pthread_mutex_t lock;
    unsigned n;
    enum hmq_status last;
    char text[HMQ_ERROR_TEXT_SIZE];
};

int fake_start(void **state);
void fake_hang_up(struct fake *p);
int fake_stop(void **state);
void fake_answer_call(struct fake *p);
void fake_hear(struct fake *p);
void fake_say(struct fake *p, const void *bytes, size_t n);
void fake_answer(struct fake *p);
void fake_on_event(void *arg, enum hmq_event event, const char *text);
hmq_client *fake_client_of(struct fake *p, const char *query);
void fake_on_reply(void *arg, hmq_reply *reply, const hmq_error *err);
void fake_on_sent(void *arg, const char *id, const hmq_error *err);
bool fake_ended(void *arg);

#endif
