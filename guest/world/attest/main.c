/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attestd ADDRESS PORT KEY RUN: prove to whoever asks that the SSH host key KEY belongs to this guest.
 *
 * KEY is the public key in base64, as SSH writes it. The owner sends NONCE_BYTES that nobody has seen. The answer is one
 * line of JSON, {"host_key": "BASE64", "token": "BASE64"} or {"host_key": "BASE64", "error": "TEXT"}, and the end of the
 * connection. The token's challenge is SHA-512(key as SSH sends it, then the nonce): who verifies it knows that the key
 * is in this realm's hands, and that the answer is not an old one. A normal VM has nothing that vouches for it, and
 * says so; realm and VM run this very program.
 *
 * The host can reach it, delay it and keep it busy; it can learn nothing here that it may not know. One connection at a
 * time, each with time-outs. The first answer of a guest's life is marked as its phase `attest`, with the number RUN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <mbedtls/base64.h>
#include <mbedtls/sha512.h>

#include "orch_marker.h"
#include "report.h"

#define NONCE_BYTES     64
#define KEY_MAX         1024
#define TIMEOUT_SECONDS 10

struct identity {
	const char *text;                       /* in base64 */
	unsigned char key[KEY_MAX];
	size_t length;
};

static int usage(const char *problem)
{
	fprintf(stderr, "attestd: %s\nusage: attestd ADDRESS PORT KEY RUN\n", problem);
	return 2;
}

static bool receive(int link, unsigned char *data, size_t length)
{
	while (length > 0) {
		ssize_t more = recv(link, data, length, 0);

		if (more <= 0)
			return false;
		data += more;
		length -= (size_t)more;
	}
	return true;
}

static void transmit(int link, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t done = send(link, text, left, MSG_NOSIGNAL);

		if (done <= 0)
			return;
		text += done;
		left -= (size_t)done;
	}
}

static int make_challenge(const struct identity *self, const unsigned char nonce[NONCE_BYTES],
			  unsigned char challenge[REPORT_CHALLENGE_BYTES])
{
	unsigned char both[KEY_MAX + NONCE_BYTES];

	memcpy(both, self->key, self->length);
	memcpy(both + self->length, nonce, NONCE_BYTES);
	return mbedtls_sha512(both, self->length + NONCE_BYTES, challenge, 0);
}

/* What proves it, or why there is no proof; both are texts that JSON can hold as they are. */
static void prove(const struct identity *self, const unsigned char nonce[NONCE_BYTES], char *answer, size_t max)
{
	static unsigned char token[REPORT_TOKEN_MAX];
	static unsigned char text[REPORT_TOKEN_MAX / 3 * 4 + 8];
	unsigned char challenge[REPORT_CHALLENGE_BYTES];
	size_t written;
	long length = -1;

	errno = EIO;
	if (make_challenge(self, nonce, challenge) == 0)
		length = report_token(challenge, token, sizeof(token));
	if (length >= 0 && mbedtls_base64_encode(text, sizeof(text), &written, token, (size_t)length) == 0)
		(void)snprintf(answer, max, "{\"host_key\": \"%s\", \"token\": \"%s\"}\n", self->text, (char *)text);
	else
		(void)snprintf(answer, max, "{\"host_key\": \"%s\", \"error\": \"%s\"}\n", self->text, strerror(errno));
}

static void serve(int link, const struct identity *self, uint64_t run)
{
	static char answer[REPORT_TOKEN_MAX / 3 * 4 + KEY_MAX * 2];
	static bool marked;
	const struct timeval limit = { .tv_sec = TIMEOUT_SECONDS };
	unsigned char nonce[NONCE_BYTES];

	(void)setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!receive(link, nonce, sizeof(nonce)))
		return;
	if (!marked)
		ORCH_MARK_BEGIN(ORCH_EVENT_ATTEST, run);
	prove(self, nonce, answer, sizeof(answer));
	if (!marked)
		ORCH_MARK_END(ORCH_EVENT_ATTEST, run);
	marked = true;
	transmit(link, answer);
}

static int listen_at(const char *address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	const int yes = 1;
	int server;

	if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0 || setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(server, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 4) < 0)
		return -1;
	return server;
}

int main(int argc, char **argv)
{
	static struct identity self;
	int server, link;

	if (argc != 5)
		return usage("expected four words");
	self.text = argv[3];
	if (mbedtls_base64_decode(self.key, sizeof(self.key), &self.length, (const unsigned char *)self.text,
				  strlen(self.text)) != 0 || self.length == 0)
		return usage("KEY is no base64, or too long");
	server = listen_at(argv[1], argv[2]);
	if (server < 0) {
		fprintf(stderr, "attestd: %s port %s: %s\n", argv[1], argv[2], strerror(errno));
		return 1;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (daemon(0, 0) < 0)
		return 1;
	while ((link = accept(server, NULL, NULL)) >= 0 || errno == EINTR || errno == ECONNABORTED) {
		if (link >= 0) {
			serve(link, &self, strtoull(argv[4], NULL, 10));
			(void)close(link);
		}
	}
	return 1;
}
