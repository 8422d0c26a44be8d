/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A chat: each line that one guest sends goes to everybody else.
 *
 *     build/chat_server [port; 0 = any, default 7001]       then, twice:  nc 127.0.0.1 7001
 *
 * What to copy from here and from chat.h: state per client that frees itself, lines cut from a stream of bytes,
 * and an answer to the question every broadcast has: what about the guest who does not read?
 */
#include "chat.h"

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 7001;
    ss_server *server;

    program = "chat_server";
    ss_set_log(on_log, NULL); /* first, so that nothing is missed */
    server = ss_new(NULL);
    return server != NULL ? serve(server, port) : fail("cannot start");
}
