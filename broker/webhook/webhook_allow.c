/*
 * webhook_allow.c: takes the list apart into rules, and tries each of them in turn.
 *
 * Addresses are compared as IPv6. An IPv4 address is ::ffff:a.b.c.d, so nobody gets around a rule by writing it in that
 * form. There are other forms that a gateway (NAT64, 6to4 ...) takes for an IPv4 address. One that stands for a
 * link-local address is refused as that is, even if the list names the form itself.
 *
 * To guard another address: a line in allow_guarded. Another form: a line in `embeddings`.
 */
#include "broker/webhook/webhook_allow.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/text.h"

enum rule_kind { RULE_ANY, RULE_UNDER, RULE_NAME, RULE_NET };

struct rule {
    enum rule_kind kind;
    char name[WEBHOOK_HOST_MAX + 1]; /* UNDER: with the dot it begins with */
    struct in6_addr net;
    unsigned bits;
};

struct webhook_allow {
    size_t n;
    struct rule rules[];
};

#define MAPPED_BITS 96

static struct in6_addr allow_mapped(const struct in_addr *v4)
{
    struct in6_addr a = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(a.s6_addr + 12, v4, 4);
    return a;
}

static bool allow_read_address(const char *text, struct in6_addr *ret, bool *ret_v4)
{
    struct in_addr v4;
    *ret_v4 = inet_pton(AF_INET, text, &v4) == 1;
    if (!*ret_v4)
        return inet_pton(AF_INET6, text, ret) == 1;
    *ret = allow_mapped(&v4);
    return true;
}

static bool allow_in_net(const struct in6_addr *a, const struct in6_addr *net, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a->s6_addr, net->s6_addr, bytes) != 0)
        return false;
    return rest == 0 || (a->s6_addr[bytes] ^ net->s6_addr[bytes]) >> (8 - rest) == 0;
}

/* ---- addresses that must be named ---- */

/* Link-local ones, and those under which clouds serve an instance its keys over IPv6. */
static bool allow_guarded(const struct in6_addr *a)
{
    static const struct {
        struct in6_addr net;
        unsigned bits;
    } guarded[] = {
        {{.s6_addr = {0xfe, 0x80}}, 10},
        {{.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254}}, MAPPED_BITS + 16},
        {{.s6_addr = {0xfd, 0x00, 0x0e, 0xc2}}, 32},                                        /* AWS: fd00:ec2::254 */
        {{.s6_addr = {0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}}, 128},             /* Google: fd20:ce::254 */
        {{.s6_addr = {0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe}}, 128},        /* Oracle */
    };
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
        if (allow_in_net(a, &guarded[i].net, guarded[i].bits))
            return true;
    }
    return false;
}

/* Forms of IPv6 address with an IPv4 address in them, to which a gateway sends what is sent to them. */
static const struct {
    struct in6_addr net, mask;
    uint8_t at[4]; /* where the bytes of the IPv4 address are */
    uint8_t flip;  /* and what they are XORed with */
} embeddings[] = {
#define LAST {12, 13, 14, 15}
#define FIRST_96 {.s6_addr = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}
    {{.s6_addr = {0}}, FIRST_96, LAST, 0},                                           /* ::a.b.c.d */
    {{.s6_addr = {[8] = 0xff, 0xff}}, FIRST_96, LAST, 0},                            /* ::ffff:0:a.b.c.d */
    {{.s6_addr = {0x00, 0x64, 0xff, 0x9b}}, FIRST_96, LAST, 0},                      /* 64:ff9b::/96, NAT64 */
    {{.s6_addr = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}},                              /* 64:ff9b:1::/48, the same ... */
     {.s6_addr = {255, 255, 255, 255, 255, 255}}, LAST, 0},
    {{.s6_addr = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}},                              /* ... in its three lengths */
     {.s6_addr = {255, 255, 255, 255, 255, 255}}, {6, 7, 9, 10}, 0},
    {{.s6_addr = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}},
     {.s6_addr = {255, 255, 255, 255, 255, 255}}, {7, 9, 10, 11}, 0},
    {{.s6_addr = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}},
     {.s6_addr = {255, 255, 255, 255, 255, 255}}, {9, 10, 11, 12}, 0},
    {{.s6_addr = {0x20, 0x02}}, {.s6_addr = {255, 255}}, {2, 3, 4, 5}, 0},            /* 2002::/16, 6to4 */
    {{.s6_addr = {0x20, 0x01}}, {.s6_addr = {255, 255, 255, 255}}, LAST, 0xff},      /* 2001::/32, Teredo */
    {{.s6_addr = {[10] = 0x5e, 0xfe}}, {.s6_addr = {[8] = 0xfd, 255, 255, 255}}, LAST, 0}, /* ISATAP */
#undef FIRST_96
#undef LAST
};

static bool allow_embeds(const struct in6_addr *a, size_t form, struct in6_addr *ret_meant)
{
    struct in_addr v4;
    for (unsigned i = 0; i < 16; i++) {
        if ((a->s6_addr[i] & embeddings[form].mask.s6_addr[i]) != embeddings[form].net.s6_addr[i])
            return false;
    }
    for (unsigned i = 0; i < 4; i++)
        ((uint8_t *)&v4)[i] = a->s6_addr[embeddings[form].at[i]] ^ embeddings[form].flip;
    *ret_meant = allow_mapped(&v4);
    return true;
}

/* ---- the list ---- */

/* Reads "10.0.0.0/8" or "fd00::1". False: it is no address. */
static bool allow_read_net(char *word, struct rule *r)
{
    bool v4 = false;
    uint64_t bits = 0;
    char *slash = strchr(word, '/');
    if (slash)
        *slash = 0;
    bool good = allow_read_address(word, &r->net, &v4);
    if (slash)
        *slash = '/';
    if (!good)
        return false;
    bits = v4 ? 32 : 128;
    if (slash && (!text_uint(slice_str(slash + 1), &bits) || bits > (v4 ? 32 : 128)))
        return false;
    r->kind = RULE_NET;
    r->bits = (unsigned)bits + (v4 ? MAPPED_BITS : 0);
    return true;
}

static bool allow_read_name(const char *word, struct rule *r)
{
    size_t n = strlen(word), from = 0;
    r->kind = RULE_NAME;
    if (n > 2 && word[0] == '*' && word[1] == '.') {
        r->kind = RULE_UNDER;
        from = 1;
    }
    if (n - from > WEBHOOK_HOST_MAX)
        return false;
    bool letters = false;
    for (size_t i = from; i < n; i++) {
        if (!isalnum((unsigned char)word[i]) && !strchr(".-_", word[i]))
            return false;
        letters = letters || isalpha((unsigned char)word[i]);
        r->name[i - from] = (char)tolower((unsigned char)word[i]);
    }
    return letters; /* 10.0.0 is a mistake, not a name */
}

static bool allow_read_rule(char *word, struct rule *r)
{
    *r = (struct rule){0};
    if (strcmp(word, "*") == 0) {
        r->kind = RULE_ANY;
        return true;
    }
    return allow_read_net(word, r) || allow_read_name(word, r);
}

static size_t allow_count_words(const char *list)
{
    size_t n = 1;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

static char *allow_trimmed(char *word)
{
    while (*word == ' ')
        word++;
    size_t n = strlen(word);
    while (n > 0 && word[n - 1] == ' ')
        word[--n] = 0;
    return word;
}

static bool allow_read_list(struct webhook_allow *a, char *list, char *err, size_t err_size)
{
    char *rest = list;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        word = allow_trimmed(word);
        if (!*word)
            continue;
        if (allow_read_rule(word, &a->rules[a->n])) {
            a->n++;
            continue;
        }
        char quoted[128];
        text_quote(slice_str(word), 100, quoted, sizeof quoted);
        snprintf(err, err_size,
                 "webhook_allow: '%s' is no host name, *.domain, address or network (10.0.0.0/8)",
                 quoted);
        return false;
    }
    return true;
}

struct webhook_allow *webhook_allow_new(const char *list, char *err, size_t err_size)
{
    char *copy = strdup(list);
    struct webhook_allow *a = calloc(1, sizeof *a + allow_count_words(list) * sizeof a->rules[0]);
    if (!copy || !a) {
        snprintf(err, err_size, "webhook_allow: no memory");
        free(a);
        a = NULL;
    } else if (!allow_read_list(a, copy, err, err_size)) {
        free(a);
        a = NULL;
    }
    free(copy);
    return a;
}

void webhook_allow_free(struct webhook_allow *a)
{
    free(a);
}

/* ---- asking the list ---- */

static bool allow_named(const struct webhook_allow *a, const char *host)
{
    size_t n = strlen(host);
    for (size_t i = 0; i < a->n; i++) {
        const struct rule *r = &a->rules[i];
        size_t k = strlen(r->name);
        if (r->kind == RULE_ANY || (r->kind == RULE_NAME && strcmp(r->name, host) == 0) ||
            (r->kind == RULE_UNDER && n > k && strcmp(host + n - k, r->name) == 0))
            return true;
    }
    return false;
}

static bool allow_in_list(const struct webhook_allow *a, const struct in6_addr *address)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct rule *r = &a->rules[i];
        if (r->kind == RULE_NET && allow_in_net(address, &r->net, r->bits))
            return true;
    }
    return false;
}

/* Does it embed an address that must be named, and is not? */
static bool allow_smuggles(const struct webhook_allow *a, const struct in6_addr *address)
{
    struct in6_addr meant;
    for (size_t i = 0; i < sizeof embeddings / sizeof *embeddings; i++) {
        if (allow_embeds(address, i, &meant) && allow_guarded(&meant) && !allow_in_list(a, &meant))
            return true;
    }
    return false;
}

static bool allow_addressed(const struct webhook_allow *a, const struct in6_addr *address)
{
    return allow_in_list(a, address) && !allow_smuggles(a, address);
}

/* May it be connected to although only the host's name, or everything, is allowed? */
static bool allow_unnamed(const struct webhook_allow *a, const struct in6_addr *address)
{
    return !allow_guarded(address) && !allow_smuggles(a, address);
}

static bool allow_any(const struct webhook_allow *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->rules[i].kind == RULE_ANY)
            return true;
    }
    return false;
}

bool webhook_allow_url(const struct webhook_allow *a, const struct webhook_url *url)
{
    struct in6_addr address;
    bool v4;
    if (!url->is_address)
        return allow_named(a, url->host);
    if (!allow_read_address(url->host, &address, &v4))
        return false;
    return allow_addressed(a, &address) || (allow_any(a) && allow_unnamed(a, &address));
}

bool webhook_allow_address(const struct webhook_allow *a, const struct webhook_url *url,
                           const struct sockaddr *sa)
{
    struct in6_addr address;
    if (sa->sa_family == AF_INET)
        address = allow_mapped(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
    else if (sa->sa_family == AF_INET6)
        address = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    else
        return false;
    if (allow_addressed(a, &address))
        return true;
    return webhook_allow_url(a, url) && allow_unnamed(a, &address);
}
