/*
 * test_auth_faults.c: passwords and logins: what is right and wrong, what is remembered and held back, the bounds of the
 * worker, and what happens where libcrypto, memory or threads fail.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/auth/auth.h"
#include "broker/auth/known.h"
#include "broker/auth/passwords.h"
#include "broker/auth/throttle.h"
#include "tests/lib/fault_heap.h"

/* ---- libcrypto and threads, which fail where a test says so ---- */

int __real_EVP_PBE_scrypt(const char *pass, size_t n, const unsigned char *salt, size_t salt_n, uint64_t cost, uint64_t r,
                          uint64_t p, uint64_t most, unsigned char *key, size_t key_n);
int __wrap_EVP_PBE_scrypt(const char *pass, size_t n, const unsigned char *salt, size_t salt_n, uint64_t cost, uint64_t r,
                          uint64_t p, uint64_t most, unsigned char *key, size_t key_n);
int __real_getentropy(void *out, size_t n);
int __wrap_getentropy(void *out, size_t n);
int __real_RAND_bytes(unsigned char *out, int n);
int __wrap_RAND_bytes(unsigned char *out, int n);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);

static _Atomic unsigned hashed;
static _Atomic bool scrypt_fails, random_fails, threads_fail;

/* So that tests are quick, the cost is lowered here; that of the shipped one is in one test below. */
int __wrap_EVP_PBE_scrypt(const char *pass, size_t n, const unsigned char *salt, size_t salt_n, uint64_t cost, uint64_t r,
                          uint64_t p, uint64_t most, unsigned char *key, size_t key_n)
{
    hashed++;
    (void)cost;
    return scrypt_fails ? 0 : __real_EVP_PBE_scrypt(pass, n, salt, salt_n, 16, r, p, most, key, key_n);
}

int __wrap_getentropy(void *out, size_t n)
{
    return random_fails ? -1 : __real_getentropy(out, n);
}

int __wrap_RAND_bytes(unsigned char *out, int n)
{
    return random_fails ? 0 : __real_RAND_bytes(out, n);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    return threads_fail ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

/* ---- a mailbox for what is done on the worker's thread ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static unsigned n_done;

static void tell(void)
{
    pthread_mutex_lock(&lock);
    n_done++;
    pthread_cond_signal(&came);
    pthread_mutex_unlock(&lock);
}

static void await(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (n_done < n)
        pthread_cond_wait(&came, &lock);
    n_done -= n;
    pthread_mutex_unlock(&lock);
}

static void login_tells(struct auth_login *l)
{
    (void)l;
    tell();
}

static const struct net_address here = {.kind = ADDRESS_IP4, .bytes = {127, 0, 0, 1}};

/* Logs in as ann, who has these passwords. */
static enum login_result try(struct auth *a, const char *password, const char *const *hashes, uint32_t n, uint64_t ref)
{
    struct slice list[USER_PASSWORDS_MAX];
    for (uint32_t i = 0; i < n; i++)
        list[i] = slice_str(hashes[i]);
    struct auth_login *l = login_new(SLICE_LIT("ann"), slice_str(password));
    assert_non_null(l);
    login_take_user(l, n > 0, false, ref, list, n);
    l->from = here;
    l->done = login_tells;
    enum login_result r = auth_begin(a, l);
    if (r == LOGIN_PENDING) {
        await(1);
        r = l->result;
    }
    login_free(l);
    return r;
}

static void make(const char *password, const struct scrypt *like, struct scrypt *s, char text[SCRYPT_TEXT_MAX])
{
    assert_int_equal(scrypt_make(like, slice_str(password), s), ST_OK);
    scrypt_print(s, text);
}

/* ---- texts ---- */

static void texts_are_read_back_and_bounded(void **state)
{
    (void)state;
    struct scrypt s, again;
    char text[SCRYPT_TEXT_MAX], printed[SCRYPT_TEXT_MAX];
    make("secret", NULL, &s, text);
    assert_true(strlen(text) < PASSWORD_HASH_BYTES_MAX);
    assert_int_equal(strncmp(text, "scrypt$14$8$2$", 14), 0);
    assert_true(scrypt_parse(slice_str(text), &again));
    scrypt_print(&again, printed);
    assert_string_equal(text, printed);
    for (size_t n = 0; n < strlen(text); n++)
        assert_false(scrypt_parse(slice_of(text, n), &again));
    static const char *const costly[] = {"scrypt$15$8$1$", "scrypt$14$9$1$", "scrypt$14$8$33$", "scrypt$0$8$1$",
                                         "scrypt$64$8$1$", "scrypt$14$0$1$", "bcrypt$14$8$2$", "scrypt$-1$8$2$"};
    for (size_t i = 0; i < sizeof costly / sizeof *costly; i++) {
        char other[SCRYPT_TEXT_MAX + 16];
        snprintf(other, sizeof other, "%s%s", costly[i], text + 14);
        assert_false(scrypt_parse(slice_str(other), &again));
    }
}

/* RFC 7914, section 12. */
static void hashes_are_those_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xfd, 0xba, 0xbe, 0x1c, 0x9d, 0x34, 0x72, 0x00};
    uint8_t out[64];
    assert_int_equal(__real_EVP_PBE_scrypt("password", 8, (const unsigned char *)"NaCl", 4, 1024, 8, 16, MIB(32), out, 64),
                     1);
    assert_memory_equal(out, expected, sizeof expected);
}

/* ---- logins ---- */

static void right_and_wrong(void **state)
{
    (void)state;
    struct auth *a = auth_new();
    struct scrypt s, t;
    char one[SCRYPT_TEXT_MAX], two[SCRYPT_TEXT_MAX];
    make("first", NULL, &s, one);
    make("second", &s, &t, two);
    const char *both[] = {one, two};
    hashed = 0;
    assert_int_equal(try(a, "second", both, 2, 1), LOGIN_RIGHT);
    assert_int_equal(try(a, "first", both, 2, 1), LOGIN_RIGHT);
    assert_int_equal(hashed, 2); /* one salt: one hash each */
    assert_int_equal(try(a, "third", both, 2, 1), LOGIN_WRONG);
    assert_int_equal(hashed, 3);
    assert_int_equal(try(a, "", both, 2, 1), LOGIN_WRONG);
    hashed = 0;
    struct slice first = slice_str(one);
    struct auth_login *zero = login_new(SLICE_LIT("ann"), slice_of("first\0", 6)); /* scrypt does not tell them apart */
    login_take_user(zero, true, false, 1, &first, 1);
    zero->done = login_tells;
    assert_int_equal(auth_begin(a, zero), LOGIN_PENDING);
    await(1);
    assert_int_equal(zero->result, LOGIN_WRONG);
    login_free(zero);
    hashed = 0;
    assert_int_equal(try(a, "first", NULL, 0, 0), LOGIN_WRONG); /* nobody costs the same */
    assert_int_equal(hashed, 1);
    const char *damaged[] = {"scrypt$1", "x"};
    assert_int_equal(try(a, "first", damaged, 2, 9), LOGIN_WRONG);
    assert_int_equal(hashed, 2);
    auth_free(a);
}

static void a_right_pair_is_remembered_until_its_user_changes(void **state)
{
    (void)state;
    struct auth *a = auth_new();
    struct scrypt s;
    char one[SCRYPT_TEXT_MAX];
    make("first", NULL, &s, one);
    const char *list[] = {one};
    assert_int_equal(try(a, "first", list, 1, 7), LOGIN_RIGHT);
    hashed = 0;
    assert_int_equal(try(a, "first", list, 1, 7), LOGIN_RIGHT);
    assert_int_equal(hashed, 0);
    assert_int_equal(try(a, "first", list, 1, 8), LOGIN_RIGHT);
    assert_int_equal(hashed, 1);
    assert_int_equal(try(a, "first", NULL, 0, 8), LOGIN_WRONG); /* off */
    auth_free(a);
}

static void known_pairs_end(void **state)
{
    (void)state;
    struct known *k = known_new();
    struct slice user = SLICE_LIT("ann"), password = SLICE_LIT("p");
    known_add(k, user, password, 1, 1000);
    assert_true(known_has(k, user, password, 1, 1000 + KNOWN_MS - 1));
    assert_false(known_has(k, user, password, 1, 1000 + KNOWN_MS));
    assert_false(known_has(k, user, password, 2, 1000));
    assert_false(known_has(k, SLICE_LIT("an"), SLICE_LIT("np"), 1, 1000));
    for (int i = 0; i < 5000; i++) { /* more than there are places for */
        char other[16];
        snprintf(other, sizeof other, "%d", i);
        known_add(k, user, slice_str(other), 1, 2000);
        assert_true(known_has(k, user, slice_str(other), 1, 2000));
    }
    uint8_t *large = calloc(1, 4096);
    known_add(k, user, slice_of(large, 4096), 1, 1);
    assert_false(known_has(k, user, slice_of(large, 4096), 1, 1));
    free(large);
    known_free(k);
}

/* ---- held back ---- */

static void addresses_are_held_back(void **state)
{
    (void)state;
    struct throttle *t = throttle_new();
    struct net_address other = {.kind = ADDRESS_IP4, .bytes = {127, 0, 0, 2}};
    int64_t now = 1000000;
    for (int i = 0; i < THROTTLE_FAILURES - 1; i++)
        throttle_failed(t, &here, now + i);
    assert_int_equal(throttle_hold_ms(t, &here, now + 20), 0);
    throttle_failed(t, &here, now + 20);
    assert_int_equal(throttle_hold_ms(t, &here, now + 20), THROTTLE_FIRST_MS);
    assert_int_equal(throttle_hold_ms(t, &other, now + 20), 0);
    int64_t expected = THROTTLE_FIRST_MS;
    for (int i = 0; i < 10; i++) {
        throttle_failed(t, &here, now + 30);
        expected = 2 * expected < THROTTLE_LAST_MS ? 2 * expected : THROTTLE_LAST_MS;
        assert_int_equal(throttle_hold_ms(t, &here, now + 30), expected);
    }
    assert_int_equal(expected, THROTTLE_LAST_MS);
    assert_int_equal(throttle_hold_ms(t, &here, now + 30 + THROTTLE_LAST_MS + THROTTLE_WINDOW_MS), THROTTLE_LAST_MS);
    assert_int_equal(throttle_hold_ms(t, &here, now + 31 + THROTTLE_LAST_MS + THROTTLE_WINDOW_MS), 0);
    throttle_failed(t, &here, now + 40 + THROTTLE_LAST_MS + THROTTLE_WINDOW_MS);
    assert_int_equal(throttle_hold_ms(t, &here, now + 40 + THROTTLE_LAST_MS + THROTTLE_WINDOW_MS), 0);
    throttle_free(t);
}

static void slow_failures_are_not(void **state)
{
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 100; i++) { /* nine intervals are more than a minute */
        throttle_failed(t, &here, i * (int64_t)(THROTTLE_WINDOW_MS / 9 + 1));
        assert_int_equal(throttle_hold_ms(t, &here, i * (int64_t)(THROTTLE_WINDOW_MS / 9 + 1)), 0);
    }
    throttle_free(t);
}

static void a_network_is_one_address_and_the_table_is_bounded(void **state)
{
    (void)state;
    struct throttle *t = throttle_new();
    struct net_address six = {.kind = ADDRESS_IP6, .bytes = {0x20, 1, 13, 0xb8}};
    for (int i = 0; i < THROTTLE_FAILURES; i++) {
        six.bytes[15] = (uint8_t)i;
        throttle_failed(t, &six, 1);
    }
    assert_int_equal(throttle_hold_ms(t, &six, 1), THROTTLE_FIRST_MS);
    six.bytes[7] = 1;
    assert_int_equal(throttle_hold_ms(t, &six, 1), 0);
    for (unsigned i = 0; i < 100000; i++) {
        struct net_address many = {.kind = ADDRESS_IP4};
        memcpy(many.bytes, &i, sizeof i);
        throttle_failed(t, &many, 2 + i);
    }
    throttle_free(t);
}

/* ---- the worker ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned worked, dropped;
static char order[8];
static _Atomic unsigned n_order;

static void work_waits(struct worker_job *j)
{
    (void)j;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    worked++;
}

static void job_done(struct worker_job *j)
{
    dropped += j->dropped;
    if (n_order < sizeof order)
        order[n_order++] = j->quick ? 'q' : 's';
    free(j);
    tell();
}

static struct worker_job *job(bool quick, int64_t hold_ms)
{
    struct worker_job *j = calloc(1, sizeof *j);
    *j = (struct worker_job){.quick = quick, .hold_ms = hold_ms, .work = work_waits, .done = job_done};
    return j;
}

static void the_queue_is_bounded_and_the_quick_go_first(void **state)
{
    (void)state;
    struct auth_worker *w = worker_new();
    assert_non_null(w);
    worked = dropped = n_order = 0;
    pthread_mutex_lock(&gate);
    unsigned given = 0;
    struct worker_job *j;
    /* One may be under way already. */
    for (j = job(false, 0); worker_give(w, j) == ST_OK; j = job(false, 0))
        given++;
    assert_in_range(given, WORKER_QUEUE_MAX, WORKER_QUEUE_MAX + 1);
    free(j);
    struct worker_job *held = job(false, 1000000);
    assert_int_equal(worker_give(w, held), ST_OK);
    pthread_mutex_unlock(&gate);
    await(given);
    assert_int_equal(worked, given);
    worker_stop(w);
    await(1);
    assert_int_equal(dropped, 1);
    j = job(true, 0);
    assert_int_equal(worker_give(w, j), ST_BUSY);
    free(j);
    worker_free(w);

    w = worker_new();
    n_order = 0;
    pthread_mutex_lock(&gate);
    assert_int_equal(worker_give(w, job(false, 0)), ST_OK);
    assert_int_equal(worker_give(w, job(false, 0)), ST_OK);
    assert_int_equal(worker_give(w, job(false, 0)), ST_OK);
    assert_int_equal(worker_give(w, job(true, 0)), ST_OK);
    pthread_mutex_unlock(&gate);
    await(4);
    assert_true(order[0] == 'q' || order[1] == 'q');
    worker_free(w);
}

static void a_held_job_is_done_later(void **state)
{
    (void)state;
    struct auth_worker *w = worker_new();
    worked = dropped = 0;
    for (int i = 0; i < 50; i++)
        assert_int_equal(worker_give(w, job(false, 1 + i % 7)), ST_OK);
    await(50);
    assert_int_equal(worked, 50);
    assert_int_equal(dropped, 0);
    worker_free(w);
    worker_free(NULL);
}

/* ---- ACL SETUSER ---- */

static void passwords_tell(struct worker_job *j)
{
    (void)j;
    tell();
}

static struct passwords *turn(struct auth *a, const struct slice *rules, uint32_t n, const struct slice *had, uint32_t n_had)
{
    struct passwords *p = passwords_new(rules, n, had, n_had);
    assert_non_null(p);
    p->job.done = passwords_tell;
    assert_int_equal(auth_give(a, &p->job), ST_OK);
    await(1);
    return p;
}

static void passwords_become_hashes(void **state)
{
    (void)state;
    struct auth *a = auth_new();
    struct slice rules[] = {SLICE_LIT("on"), SLICE_LIT(">one"), SLICE_LIT(">two"), SLICE_LIT("<one"), SLICE_LIT("~x")};
    struct passwords *p = turn(a, rules, 5, NULL, 0);
    assert_int_equal(p->result, ST_OK);
    assert_int_equal(p->n, 3);
    struct scrypt one, two;
    assert_true(scrypt_parse(slice_str(p->hashed[0] + 1), &one));
    assert_true(scrypt_parse(slice_str(p->hashed[1] + 1), &two));
    assert_int_equal(p->hashed[0][0], '#');
    assert_true(scrypt_same_salt(&one, &two));
    assert_int_equal(p->hashed[2][0], '!');
    assert_string_equal(p->hashed[2] + 1, p->hashed[0] + 1);
    char old[SCRYPT_TEXT_MAX];
    snprintf(old, sizeof old, "%s", p->hashed[1] + 1);
    passwords_free(p);

    struct slice had = slice_str(old), next[] = {SLICE_LIT("<two"), SLICE_LIT(">two")};
    p = turn(a, next, 2, &had, 1);
    assert_int_equal(p->result, ST_OK);
    assert_string_equal(p->hashed[0] + 1, old);
    assert_string_equal(p->hashed[1] + 1, old); /* the same password is the same hash */
    passwords_free(p);
    struct slice wrong = SLICE_LIT("<three");
    p = turn(a, &wrong, 1, &had, 1);
    assert_int_equal(p->result, ST_GONE);
    passwords_free(p);
    scrypt_fails = true;
    p = turn(a, next, 2, &had, 1);
    assert_int_equal(p->result, ST_NOMEM);
    passwords_free(p);
    scrypt_fails = false;
    random_fails = true;
    p = turn(a, next + 1, 1, NULL, 0);
    assert_int_equal(p->result, ST_NOMEM);
    passwords_free(p);
    random_fails = false;
    auth_free(a);
}

/* ---- what fails ---- */

static void a_failing_libcrypto_says_busy(void **state)
{
    (void)state;
    struct auth *a = auth_new();
    struct scrypt s;
    char one[SCRYPT_TEXT_MAX];
    make("first", NULL, &s, one);
    const char *list[] = {one};
    scrypt_fails = true;
    for (int i = 0; i < 2 * THROTTLE_FAILURES; i++) /* and it is nobody's failure */
        assert_int_equal(try(a, "first", list, 1, 7), LOGIN_BUSY);
    scrypt_fails = false;
    assert_int_equal(try(a, "first", list, 1, 7), LOGIN_RIGHT);
    auth_stop(a);
    assert_int_equal(try(a, "second", list, 1, 7), LOGIN_BUSY);
    auth_free(a);
}

static void nothing_is_left_where_the_start_fails(void **state)
{
    (void)state;
    bool made = false;
    for (uint64_t n = 1; !made; n++) {
        fault_heap_fail(n, false);
        fault_heap_inside(true);
        struct auth *a = auth_new();
        fault_heap_inside(false);
        made = a && !fault_heap_fired();
        assert_true(made || !a);
        auth_free(a);
    }
    fault_heap_fail(0, false);
    random_fails = true;
    assert_null(auth_new());
    random_fails = false;
    threads_fail = true;
    assert_null(auth_new());
    threads_fail = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_back_and_bounded),
        cmocka_unit_test(hashes_are_those_of_the_rfc),
        cmocka_unit_test(right_and_wrong),
        cmocka_unit_test(a_right_pair_is_remembered_until_its_user_changes),
        cmocka_unit_test(known_pairs_end),
        cmocka_unit_test(addresses_are_held_back),
        cmocka_unit_test(slow_failures_are_not),
        cmocka_unit_test(a_network_is_one_address_and_the_table_is_bounded),
        cmocka_unit_test(the_queue_is_bounded_and_the_quick_go_first),
        cmocka_unit_test(a_held_job_is_done_later),
        cmocka_unit_test(passwords_become_hashes),
        cmocka_unit_test(a_failing_libcrypto_says_busy),
        cmocka_unit_test(nothing_is_left_where_the_start_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
