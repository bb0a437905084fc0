/*
 * fuzz_tls.c: feeds any bytes to a connection that was told to speak TLS: as a client's first bytes, in one piece and cut in
 * two. There is no crash, no bytes come out that were not encrypted, and a handshake is not finished by chance.
 *
 *   input ──► socket pair ──► tls_shake, tls_read ──► TLS_WAITS or TLS_FAILED
 *
 * The certificate is made at the start, below the folder for temporary files.
 */
#include "broker/tls/tls.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_server server;

static void must(bool good)
{
    if (!good)
        abort();
}

/* A key and a certificate of its own, in one file. */
static void make_file(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *f = fopen(path, "w");
    must(key && cert && f);
    must(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) && X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 365));
    must(X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);
    must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && PEM_write_X509(f, cert) == 1);
    must(fclose(f) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void set_up(void)
{
    char path[] = "/tmp/halfmq-fuzz-XXXXXX", err[512];
    struct tls_context c;
    int fd = mkstemp(path);
    must(fd >= 0 && close(fd) == 0);
    make_file(path);
    const struct tls_options o = {.cert = path, .key = path, .ca = "", .min_1_2 = true, .now_s = time(NULL)};
    must(tls_server_init(&server) && tls_context_new(&o, &c, err, sizeof err) == ST_OK);
    tls_server_install(&server, &c);
    must(unlink(path) == 0);
}

static void feed(const uint8_t *data, size_t size, size_t cut)
{
    struct tls tls;
    int fds[2];
    char got[256];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0 && tls_new(&tls, &server, fds[0]));
    enum tls_step step = TLS_WAITS;
    for (size_t at = 0; at < size && step == TLS_WAITS; at = at < cut ? cut : size) {
        size_t end = at < cut ? cut : size;
        must(send(fds[1], data + at, end - at, MSG_NOSIGNAL) == (ssize_t)(end - at));
        step = tls_shake(&tls);
        must(tls_bytes(&tls) == TLS_SHAKING_BYTES);
    }
    must(step != TLS_DONE);
    if (step == TLS_WAITS) {
        must(shutdown(fds[1], SHUT_WR) == 0 && tls_shake(&tls) != TLS_DONE);
        must(tls_read(&tls, got, sizeof got) <= 0);
    }
    (void)tls_why(&tls);
    tls_free(&tls);
    close(fds[0]);
    close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        set_up();
    ready = true;
    if (size > 65536)
        return 0;
    feed(data, size, size);
    if (size > 1)
        feed(data, size, 1 + data[0] % (size - 1));
    return 0;
}
