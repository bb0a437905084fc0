/* via_send.h: the role that sends messages through libhalfmq. */
#ifndef HALFMQ_BENCH_VIA_SEND_H
#define HALFMQ_BENCH_VIA_SEND_H

#include "bench/via/via_link.h"

extern const struct via_role via_role_send;

#endif
