/* rate.c: counts what RATE lets go (rate.h). */
#include "storage/group/rate.h"

#define RATE_SLACK_US INT64_C(10000)                     /* S */
#define RATE_SPAN_US (INT64_C(1001000) + RATE_SLACK_US) /* n T */

static int64_t rate_from(int64_t free_us, int64_t now_us)
{
    return free_us > now_us - RATE_SLACK_US ? free_us : now_us - RATE_SLACK_US;
}

uint32_t rate_room(uint32_t rate, int64_t free_us, int64_t now_ms, uint32_t most)
{
    int64_t now_us = now_ms * 1000;
    if (free_us > now_us)
        return 0;
    int64_t room = (now_us - rate_from(free_us, now_us)) * rate / RATE_SPAN_US + 1;
    return room < most ? (uint32_t)room : most;
}

int64_t rate_took(uint32_t rate, int64_t free_us, int64_t now_ms, uint32_t n)
{
    return rate_from(free_us, now_ms * 1000) + (n * RATE_SPAN_US + rate - 1) / rate;
}

int64_t rate_gave_back(uint32_t rate, int64_t free_us, int64_t took_ms, int64_t now_ms, uint64_t n)
{
    uint64_t most = INT64_MAX / RATE_SPAN_US;
    int64_t back = (int64_t)(n < most ? n : most) * RATE_SPAN_US / rate - (now_ms - took_ms) * 1000;
    if (back <= 0)
        return free_us;
    return back < free_us ? free_us - back : 0;
}

int64_t rate_due_ms(int64_t free_us)
{
    return (free_us + 999) / 1000;
}
