/*
 * certs.h: a certificate authority for tests in C, made by certs.py.
 *
 *   ca/ca.crt ──► ca/server.crt .key (for localhost), ca/client.crt .key       strangers/ca.crt ──► strangers/stranger.crt .key
 */
#ifndef HALFMQ_TESTS_CERTS_H
#define HALFMQ_TESTS_CERTS_H

/* The path of one of these files, which are made once and removed when the program ends. */
const char *certs_path(const char *name);

#endif
