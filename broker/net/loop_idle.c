/* loop_idle.c: looks for idle connections (loop_idle.h). */
#include "broker/net/loop_idle.h"

#include <inttypes.h>

#include "broker/base/log.h"
#include "broker/net/conn.h"

#define LOOK_MS_MAX 5000
#define LOOK_MS_MIN 10

static bool idle_is(struct conn *c, int64_t now_ms, int64_t timeout_ms)
{
    bool busy = c->heard || c->state != CONN_OPEN || c->in_flight || c->needs || c->stalled || conn_unsent(c) ||
                c->loop->env.sessions->listens(c);
    c->heard = false;
    if (busy)
        c->quiet_ms = now_ms;
    return now_ms - c->quiet_ms >= timeout_ms;
}

static void idle_look(struct timer *t, void *arg)
{
    struct loop *l = arg;
    int64_t now_ms = timers_now(), timeout_ms = settings_num(l->env.settings, SET_idle_timeout);
    (void)t;
    for (uint32_t i = 0; i < l->slots.size && timeout_ms; i++) {
        struct conn *c = l->slots.slot[i].conn;
        if (!c || !idle_is(c, now_ms, timeout_ms))
            continue;
        log_event(LOG_DEBUG, "closing an idle connection", " client=%" PRIu64, c->id);
        conn_dismiss(c);
    }
    loop_idle_arm(l);
}

void loop_idle_arm(struct loop *l)
{
    int64_t every_ms = settings_num(l->env.settings, SET_idle_timeout) / 4;
    if (timer_is_set(&l->idle_timer) || !settings_num(l->env.settings, SET_idle_timeout))
        return;
    every_ms = every_ms > LOOK_MS_MAX ? LOOK_MS_MAX : every_ms < LOOK_MS_MIN ? LOOK_MS_MIN : every_ms;
    l->idle_timer.fire = idle_look;
    /* Without memory for the timer, the next turn tries again. */
    if (timer_set(&l->timers, &l->idle_timer, timers_now() + every_ms) != ST_OK)
        return;
}
