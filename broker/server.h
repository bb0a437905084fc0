/*
 * server.h: the broker as a whole: starts the threads in order and stops them in reverse.
 *
 *   main thread   accept, signals, HTTP, ticker          (event_base of its own)
 *   loop 1..n     connections (broker/net/net.h)             io_threads
 *   journal       its writer thread                      (broker/journal/journal.h)
 *   webhooks      check-backs to CHECKURLs               (broker/webhook/webhook.h)
 *
 *   start: config, log, lock, addresses, HTTP, store (loading.h), journal, loops, listeners, "ready"
 *   stop:  not ready (readyz 503), no new connections, loops drain (answers go out, parked waits end
 *          empty), journal drains and syncs, store closes
 */
#ifndef HALFMQ_BROKER_SERVER_H
#define HALFMQ_BROKER_SERVER_H

struct settings;

/* Runs until stopped; the process's exit code. */
int server_run(struct settings *settings);

#endif
