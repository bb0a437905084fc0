/*
 * ask.h: one blocking request for a command with many options, as the functions of this folder make it:
 *
 *   ask_begin("group_set") ─► hmq_request_put_* ─► ask_end (sends, waits, frees the request)
 *
 * They are for managing, not for the way of messages, so they build requests as an application would.
 */
#ifndef HALFMQ_CLIENTS_C_ASK_H
#define HALFMQ_CLIENTS_C_ASK_H

#include "clients/c/wire/errors.h"

#define PLACE_TEXT_SIZE 32

/* A request. NULL, which hmq_request_put_* and ask_end take: no memory. */
hmq_request *ask_begin(const char *method);

/* Puts the text, where it is not NULL; the number, where it is 0 or more. */
void ask_put_text(hmq_request *r, const char *name, const char *text);
void ask_put_number(hmq_request *r, const char *name, int64_t n);

/* Sends it, waits, and frees the request. *ret_reply (may be NULL) is the caller's. */
enum hmq_status ask_end(hmq_client *c, hmq_request *r, int64_t timeout_ms, hmq_reply **ret_reply, hmq_error *err);

/* The same for a reply that is a number; *ret_count may be NULL. */
enum hmq_status ask_count(hmq_client *c, hmq_request *r, int64_t timeout_ms, uint64_t *ret_count, hmq_error *err);

/*
 * The same for a page of a list, [next cursor, items]: *ret_items is the reply, whose second item they are. cursor: in and
 * out, HMQ_CURSOR_SIZE bytes; "" begins, and it is "" again behind the last page.
 */
enum hmq_status ask_page(hmq_client *c, hmq_request *r, char *cursor, int64_t timeout_ms, hmq_reply **ret_page,
                         hmq_error *err);

/* Checks a place, and writes it as READ and SEEK take it, but for the queue: "earliest", "17", "-5", "@1795501800000". */
enum hmq_status ask_place(const hmq_position *p, char text[PLACE_TEXT_SIZE], hmq_error *err);

#endif
