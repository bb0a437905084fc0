/* who_state.h: what a session has of who its connection is (who.h). */
#ifndef HALFMQ_BROKER_WHO_STATE_H
#define HALFMQ_BROKER_WHO_STATE_H

#include "broker/access/roster.h"

enum who_how { WHO_DEFAULT, WHO_PASSWORD, WHO_TOKEN, WHO_CERTIFICATE };

struct who {
    const struct access_user *user; /* of the loop's users, as of `gen`; NULL: nobody */
    uint64_t gen;
    uint64_t free_gen; /* the gen for which nothing of its commands is to be judged; 0: none */
    uint64_t born;     /* of the user that it became: one that is made again under the same name is another */
    struct use *use;   /* counts it; NULL: nobody */
    int64_t until_ms;  /* wall clock; 0: for good */
    uint8_t how;       /* enum who_how */
    bool counted;      /* its command was counted against the user's bounds, and is to be taken again after a stall */
    uint8_t later;     /* enum status: why it is nobody for now, ST_LIMIT: its user had as many connections as it may;
                        * ST_BUSY, ST_NOMEM: the users could not be read. Its next command tries again. ST_OK: it is who it is */
};

#endif
