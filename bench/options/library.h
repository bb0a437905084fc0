/*
 * library.h: what libhalfmq has to know of the flags: whether and how to encrypt, and who logs in.
 */
#ifndef HALFMQ_BENCH_LIBRARY_H
#define HALFMQ_BENCH_LIBRARY_H

#include "bench/options/options.h"
#include "clients/c/halfmq.h"

/* Sets the options tls*, user and password. False: err says why. */
bool library_set(hmq_options *lib, const struct options *o, hmq_error *err);

#endif
