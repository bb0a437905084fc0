/*
 * view.h: a reply as a JSON tree. `--json` prints the tree, and human.c makes tables of it.
 *
 * hiredis 0.14 speaks RESP2, where a map is a flat array. So this knows what each command replies (view_shape), and
 * makes an object of a map again:
 *
 *   POP    [[id, body, [name, value, ...], [name, value, ...]], ...]
 *            ──► [{"id", "body", "attributes": {}, "properties": {}}, ...]
 *   LAG    [[name, value, ...], ...]        ──► [{...}, ...]
 *   INFO   "# Server\r\nname:value\r\n..."  ──► {"name": "value", ...}
 *
 * Bytes that are not text (not UTF-8, or with a NUL) cannot be a JSON string: a body becomes "body_base64",
 * another value {"base64": "..."}.
 */
#ifndef HALFMQ_CLIENTS_CLI_VIEW_H
#define HALFMQ_CLIENTS_CLI_VIEW_H

#include <cjson/cJSON.h>
#include <hiredis/hiredis.h>

#include "protocol/command/command.h"

enum reply_shape {
    SHAPE_VALUE, /* as it comes */
    SHAPE_MAP, /* one map */
    SHAPE_LIST, /* an array; its arrays are maps */
    SHAPE_MESSAGE, /* one message, or null */
    SHAPE_MESSAGES, /* an array of messages */
    SHAPE_PAGE, /* next cursor, SHAPE_LIST */
    SHAPE_LETTERS, /* next cursor, SHAPE_MESSAGES: dead letters */
    SHAPE_DELAYED, /* SHAPE_MESSAGES, with tokens for ids */
    SHAPE_FOUND, /* SHAPE_MESSAGES, of FIND */
    SHAPE_LEASES, /* SHAPE_PAGE, of leases */
    SHAPE_GROUP, /* SHAPE_LIST, each of which has much to say */
    SHAPE_USERS, /* an array of texts, each of which is the rules of a user (users.h) */
    SHAPE_REFUSED, /* SHAPE_LIST, of what ACL LOG says */
    SHAPE_CHECKS, /* an array of texts that are JSON themselves */
    SHAPE_INFO /* lines of name:value */
};

/* What the command replies; info may be NULL (the table does not have the command). */
enum reply_shape view_shape(const struct command_info *info);

/* The tree, for the caller to free with cJSON_Delete; NULL: no memory. */
cJSON *view_reply(const redisReply *reply, enum reply_shape shape);

#endif
