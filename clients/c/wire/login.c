/* login.c: the ways to log in: a user name and a password; see login.h. */
#include "clients/c/wire/login.h"

#include "clients/c/wire/request.h"

static bool password_wanted(const struct hmq_options *o)
{
    return options_text(o, CHOICE_user)[0] || options_text(o, CHOICE_password)[0];
}

static bool password_write(const struct hmq_options *o, struct call *call, hmq_error *err)
{
    const char *user = options_text(o, CHOICE_user);
    request_begin(call, "auth", user[0] ? 2 : 1);
    if (user[0])
        pair_text(&call->frame, "user", user);
    pair_text(&call->frame, "pass", options_text(o, CHOICE_password));
    return !call->frame.failed || error_plain(err, HMQ_ENOMEM) == HMQ_OK;
}

static const struct login logins[] = {{"password", password_wanted, password_write}};

const struct login *login_of(const struct hmq_options *o)
{
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++)
        if (logins[i].wanted(o))
            return &logins[i];
    return NULL;
}
