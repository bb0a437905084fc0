/* account.c: the marks of the account, and its lanes (account.h). */
#include "broker/net/account.h"

#include <assert.h>

#define SMALL_MEMORY ((size_t)MIB(64)) /* below it, what the program itself takes leaves less for connections */

void account_init(struct account *a, size_t memory)
{
    size_t share = memory < SMALL_MEMORY ? memory / 8 : memory / 4;
    *a = (struct account){.low = share / 3, .high = share / 2};
}

static bool account_take_one(_Atomic uint32_t *taken, uint32_t most)
{
    uint32_t n = atomic_load_explicit(taken, memory_order_relaxed);
    while (n < most) {
        if (atomic_compare_exchange_weak(taken, &n, n + 1))
            return true;
    }
    return false;
}

bool account_take_lane(struct account *a, enum account_lane *lane, size_t bytes)
{
    enum account_lane wanted = bytes < LANE_SMALL_BYTES ? LANE_SMALL : LANE_LARGE;
    if (*lane >= wanted)
        return true;
    bool taken = wanted == LANE_SMALL ? account_take_one(&a->small, LANES_SMALL) : account_take_one(&a->large, 1);
    if (!taken)
        return false;
    account_give_lane(a, *lane);
    *lane = wanted;
    return true;
}

void account_give_lane(struct account *a, enum account_lane lane)
{
    if (lane == LANE_NONE)
        return;
    uint32_t before = atomic_fetch_sub(lane == LANE_SMALL ? &a->small : &a->large, 1);
    assert(before > 0);
    (void)before;
}

bool account_take_reply_lane(struct account *a)
{
    return account_take_one(&a->replies, account_is_far_over(a) ? 1 : LANES_REPLY);
}

void account_give_reply_lane(struct account *a)
{
    uint32_t before = atomic_fetch_sub(&a->replies, 1);
    assert(before > 0);
    (void)before;
}
