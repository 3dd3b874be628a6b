/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket on which the plugin answers. */
#ifndef SERVER_H
#define SERVER_H

struct server;

/* NULL with the reason in *problem if the socket cannot be had. */
struct server *server_start(const char *path, const char **problem);
void server_stop(struct server *server);

#endif
