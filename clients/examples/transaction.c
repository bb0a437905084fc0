/*
 * transaction.c: a message and a local change, of which either both happen or neither.
 * `transaction [account] [amount]`: the bank refuses amounts over 1000.
 *
 *   half ──► the bank's own books ──► commit, or rollback
 *                    │
 *                    └── this program dies here: the broker asks, and on_check reads the books
 *
 * The books here are a file, bank.txt, with a line for each payment: "<txid> <account> <amount>". With a
 * database you would insert a row with the txid in the transaction that makes the change.
 */
#include <halfmq.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BOOKS "bank.txt"

struct payment {
    const char *account;
    long amount;
};

/* True if the payment of this transaction is in the books. */
static int booked(hmq_txid txid)
{
    FILE *books = fopen(BOOKS, "r");
    char line[256];
    int found = 0;
    while (books && !found && fgets(line, sizeof line, books))
        found = strtoull(line, NULL, 10) == txid;
    if (books)
        fclose(books);
    return found;
}

/*
 * The broker asks what became of a transaction. Only one program at a time writes to the books, so if the
 * payment is not there, its program died before booking it. With several programs, this function would
 * have to write "no" into the books before it answers.
 */
static enum hmq_decision on_check(void *arg, const hmq_check *check)
{
    (void)arg;
    hmq_txid txid = hmq_check_txid(check);
    enum hmq_decision decision = booked(txid) ? HMQ_COMMIT : HMQ_ROLLBACK;
    printf("asked about %" PRIu64 ": %s\n", txid, decision == HMQ_COMMIT ? "commit" : "rollback");
    return decision;
}

/* The local transaction: writes the payment into the books. */
static enum hmq_decision book(void *arg, hmq_txid txid)
{
    const struct payment *payment = arg;
    if (payment->amount > 1000)
        return HMQ_ROLLBACK;
    FILE *books = fopen(BOOKS, "a");
    if (!books)
        return HMQ_ROLLBACK;
    int written =
        fprintf(books, "%" PRIu64 " %s %ld\n", txid, payment->account, payment->amount) > 0;
    written = fflush(books) == 0 && fsync(fileno(books)) == 0 && written;
    fclose(books);
    return written ? HMQ_COMMIT : HMQ_UNDECIDED; /* a part of the line may be there: decide at the check-back */
}

int main(int argc, char **argv)
{
    struct payment payment = {argc > 1 ? argv[1] : "alice",
                              argc > 2 ? strtol(argv[2], NULL, 10) : 10};
    hmq_client *client = NULL;
    hmq_txn_producer *bank = NULL;
    hmq_error err;
    hmq_txid txid = 0;
    char body[128];
    int n = snprintf(body, sizeof body, "{\"account\":\"%s\",\"amount\":%ld}", payment.account,
                     payment.amount);

    if (hmq_client_open(NULL, &client, &err) == HMQ_OK &&
        hmq_txn_producer_new(client, "bank", on_check, NULL, NULL, &bank, &err) == HMQ_OK)
        hmq_txn_run(bank, "payments", body, (size_t)n, NULL, book, &payment, HMQ_DEFAULT, &txid,
                    &err);
    hmq_txn_producer_close(bank, HMQ_DEFAULT, NULL);
    hmq_client_free(client);
    if (err.code != HMQ_OK)
        fprintf(stderr, "%s: %s\n", hmq_status_name(err.code), err.text);
    else
        printf("%" PRIu64 " %s\n", txid, booked(txid) ? "paid" : "refused");
    return err.code == HMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
