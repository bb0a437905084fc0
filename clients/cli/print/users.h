/*
 * users.h: what ACL LIST says of a user, as an object: "user shop on nopass +@produce ~orders.*" becomes
 *
 *   {"user": "shop", "login": ["on", "nopass"], "commands": "+@produce", "topics": "~orders.*", "groups": "", "pgroups": "",
 *    "limits": ""}
 */
#ifndef HALFMQ_CLIENTS_CLI_USERS_H
#define HALFMQ_CLIENTS_CLI_USERS_H

#include <cjson/cJSON.h>

#include "protocol/base/slice.h"

/* For the caller to free with cJSON_Delete; NULL: no memory. A line of another form is a string. */
cJSON *users_item(struct slice line);

#endif
